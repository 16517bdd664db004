"""Names of results and facts in an AnnData; defined only here."""

from typing import Literal

Kind = Literal["counts", "normalised", "log_normalised"]  # scale of a matrix

CELL_TYPE = "scm_cell_type"
CONFIDENCE = "scm_cell_type_confidence"
UNASSIGNED = "scm_unassigned"
BROAD_TYPE = "scm_cell_type_broad"
BROAD_CONFIDENCE = "scm_cell_type_broad_confidence"
VOTED_TYPE = "scm_cell_type_majority"
AGREEMENT = "scm_cell_type_agreement"
TYPE_SET = "scm_cell_type_set"
TYPE_PARENT = "scm_cell_type_parent"
EXPERTS = "scm_cell_type_experts"
PROBABILITY = "scm_cell_type_probability"
DISTANCE = "scm_distance"
EMBEDDING = "X_scm"
CORRECTED = "X_scm_corrected"
JOINT = "X_scm_joint"
IMPUTED = "scm_imputed"
IMPUTED_ERROR = "scm_imputed_error"
HELD_OUT = "scm_held_out"
CORRECTED_LAYER = "scm_corrected"
PREDICTED = "scm_predicted"
PREDICTED_GENES = "scm_predicted_genes"
RANKING = "scm_ranking"
EDGES = "scm_edges"
MODULES = "scm_modules"
DENOISED = "scm_denoised"
FACTS = "scm"

ONTOLOGY_IDS = "cell_type_ontology_term_id"  # CELLxGENE's name
COUNTS_LAYER = "counts"
SYMBOL = "symbol"
BIOTYPE = "biotype"

ENSEMBL_COLUMNS = ("ensembl_id", "feature_id", "gene_ids")
FEATURE_TYPES = "feature_types"
SYMBOL_COLUMNS = ("symbol", "gene_symbol", "gene_symbols", "feature_name", "gene_name")


def is_result(name: object) -> bool:
    """Whether a name is that of one of our results."""
    words = (FACTS, EMBEDDING)
    return name in words or str(name).startswith(tuple(f"{word}_" for word in words))
