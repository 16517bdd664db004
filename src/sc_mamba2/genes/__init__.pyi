from .cleaning import CleanedNames as CleanedNames, clean_names as clean_names
from .mapping import (
    GeneMapping as GeneMapping,
    guess_contents as guess_contents,
    is_foreign as is_foreign,
    is_spreadsheet_date as is_spreadsheet_date,
    map_genes as map_genes,
)
from .table import (
    MOUSE as MOUSE,
    GeneTable as GeneTable,
    load_gene_table as load_gene_table,
)
from .vocabulary import (
    Vocabulary as Vocabulary,
    load_vocabulary as load_vocabulary,
)
