from .cleaning import CleanedNames as CleanedNames, clean_names as clean_names
from .mapping import (
    GeneMapping as GeneMapping,
    is_of_mouse as is_of_mouse,
    is_spreadsheet_date as is_spreadsheet_date,
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
