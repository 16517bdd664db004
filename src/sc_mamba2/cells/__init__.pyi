from .contract import (
    CellsContract as CellsContract,
    RawCellsContract as RawCellsContract,
    check_matched as check_matched,
)
from .copying import CopiedCells as CopiedCells, write_copy as write_copy
from .expression import Expression as Expression, choose_expression as choose_expression
from .labels import (
    known_labels as known_labels,
    label_text as label_text,
    read_labels as read_labels,
)
from .perturbation_names import (
    NameRules as NameRules,
    PerturbationNames as PerturbationNames,
    base_and_dose as base_and_dose,
    learn_names as learn_names,
    parts_of as parts_of,
    target_gene as target_gene,
)
from .perturbations import read_perturbations as read_perturbations
from .readers import EMBEDDED as EMBEDDED, read_cells as read_cells
from .simulate import simulate_cells as simulate_cells, simulate_perturbed as simulate_perturbed
from .standard_form import human_cells as human_cells, standardise as standardise
