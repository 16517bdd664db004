"""Gene coverage: how much of a model's weight is on genes that a file measures."""

import logging
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData

from sc_mamba2.errors import UserError
from sc_mamba2.genes import Vocabulary
from sc_mamba2.model import TaskModel
from sc_mamba2.tasks.shared.params import ValidationParams

RULE = "model-genes"
_log = logging.getLogger(__name__)


def add_coverage(
    model: TaskModel,
    valid_cells: AnnData,
    validation_report: dict[str, Any],
    validation: ValidationParams,
) -> dict[str, Any]:
    """Return a validation report extended by the cells' coverage of a trained model's genes.

    Raises
    ------
    UserError
        Rule ``model-genes``: the coverage is too low.
    """
    limits = validation.minimum_weight_share, validation.remark_weight_share
    weight_V = model.gene_weights()
    found = check_genes(model.tokenizer.vocabulary, weight_V, valid_cells.var_names, *limits)
    return with_coverage(validation_report, found)


def with_coverage(report: dict[str, Any], coverage: dict[str, Any]) -> dict[str, Any]:
    """Add the result of `check_genes` to a report, and its words as the first remark."""
    remark = {"rule": RULE, "remark": coverage["words"]}
    return report | {"coverage": coverage, "remarks": [remark, *report.get("remarks", [])]}


def check_genes(
    vocabulary: Vocabulary,
    weight_V: np.ndarray,
    gene_ids: pd.Index,
    floor: float,
    low: float = 0.0,
    what: str = "the model",
) -> dict[str, Any]:
    """Compute the share of a model's weight on measured genes; raise or warn if it is low.

    Parameters
    ----------
    vocabulary
        The model's.
    weight_V
        (V,) weight of each token in the model; 0: ignored.
    gene_ids
        Ensembl ids of the measured genes.
    floor
        Share of the weight below which the file is rejected.
    low
        Share below which a warning is logged.
    what
        Name of the model in messages.

    Returns
    -------
    dict
        ``genes`` used by the model, ``measured`` of them, ``gene_share``, ``weight_share`` (both 0 to
        1), and ``words``.

    Raises
    ------
    UserError
        Rule ``model-genes``.
    """
    genes = vocabulary.gene_rows[weight_V[vocabulary.gene_rows] > 0]
    measured = genes[np.isin(genes, vocabulary.rows_of(gene_ids))]
    share = float(weight_V[measured].sum() / weight_V[genes].sum()) if len(genes) else 1.0
    words = (
        f"{len(measured):,} of the {len(genes):,} genes of {what} are measured here; they carry "
        f"{share:.1%} of its weight"
    )
    if share < floor:
        raise UserError(
            RULE,
            found=words,
            expected=f"at least {floor:.1%} of the weight",
            mend="give the file with all its genes, use a model trained on these genes, or "
            "train one on a reference that has them",
        )
    if share < low:
        words += ", so results are unreliable"
        _log.warning("%s.", words)
    return {
        "genes": len(genes),
        "measured": len(measured),
        "gene_share": len(measured) / max(1, len(genes)),
        "weight_share": share,
        "words": words,
    }
