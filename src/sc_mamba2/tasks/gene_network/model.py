"""The pretrained model, its untrained counterpart, and the cosine of gene embeddings.

Legend: R regulators, T targets, V vocabulary, D width.
"""

import numpy as np
from sklearn.preprocessing import normalize

from sc_mamba2.errors import UserError
from sc_mamba2.model import Backbone, PretrainedModel
from sc_mamba2.training import ComputeOptions, seed_everything


def read_model(checkpoint: str, compute: ComputeOptions) -> PretrainedModel:
    """Load the pretrained model.

    Raises
    ------
    UserError
        Rules of `PretrainedModel.from_pretrained`; ``checkpoint-heads``: it has no head that predicts
        expression from the cell embedding.
    """
    model = PretrainedModel.from_pretrained(checkpoint)
    if model.cell_expression_decoder is None and model.molecule_decoder is None:
        raise UserError(
            "checkpoint-heads",
            found=f"'{checkpoint}' without a head that predicts expression from the cell",
            expected="a pretrained model with that head, or with a molecule head",
            mend="use scm-tiny or scm-counts, or pretrain with cell_expression in the objective",
        )
    model.backbone.scan_path = compute.scan_path
    return model


def untrained_like(model: PretrainedModel, seed: int) -> PretrainedModel:
    """Return the same model with random weights."""
    seed_everything(seed)
    fresh = PretrainedModel(Backbone(model.backbone.config), model.tokenizer, model.heads)
    fresh.backbone.scan_path = model.backbone.scan_path
    return fresh.eval()


def cosines(
    model: PretrainedModel, regulator_rows: np.ndarray, target_rows: np.ndarray
) -> np.ndarray:
    """Return the cosine of the gene embeddings of each pair, (R, T), -1 to 1."""
    table_VD = model.backbone.gene_embedding.weight.detach().double().cpu().numpy()
    return normalize(table_VD[regulator_rows]) @ normalize(table_VD[target_rows]).T
