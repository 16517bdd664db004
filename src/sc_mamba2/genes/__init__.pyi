from .mapping import (
    GeneMapping as GeneMapping,
    looks_like as looks_like,
    map_genes as map_genes,
)
from .table import (
    GeneTable as GeneTable,
    load_gene_table as load_gene_table,
)
from .vocabulary import (
    Vocabulary as Vocabulary,
    load_vocabulary as load_vocabulary,
)
