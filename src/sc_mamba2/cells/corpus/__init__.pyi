from .ingest import (
    Consume as Consume,
    CorpusFile as CorpusFile,
    ingest_corpus as ingest_corpus,
)
from .options import CorpusFilters as CorpusFilters
from .scan import ReadingRules as ReadingRules
from .sources import list_sources as list_sources
