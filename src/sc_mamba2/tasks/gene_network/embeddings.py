"""The model that scores, and how alike the embeddings of two genes are.

Legend: R regulators, T targets, V vocabulary, D width.
"""

import numpy as np
from sklearn.preprocessing import normalize

from sc_mamba2.errors import UserError
from sc_mamba2.model import Backbone, PretrainedModel
from sc_mamba2.tasks.gene_network.params import ScoreParams
from sc_mamba2.training import seed_everything


def read_model(params: ScoreParams) -> PretrainedModel:
    """Read the pretrained model.

    Raises
    ------
    UserError
        Rules of `PretrainedModel.from_pretrained`; ``checkpoint-heads``: it cannot tell expression from
        the cell.
    """
    model = PretrainedModel.from_pretrained(params.checkpoint)
    if model.cell_expression_decoder is None:
        raise UserError(
            "checkpoint-heads",
            found=f"'{params.checkpoint}' without the head of expression from the cell",
            expected="a pretrained model with that head",
            mend="use scm-tiny, or pretrain with the objective's cell_expression",
        )
    return model


def untrained_like(model: PretrainedModel, seed: int) -> PretrainedModel:
    """Return the same model with random weights."""
    seed_everything(seed)
    fresh = PretrainedModel(Backbone(model.backbone.config), model.tokenizer, model.heads)
    return fresh.eval()


def cosines(
    model: PretrainedModel, regulator_rows: np.ndarray, target_rows: np.ndarray
) -> np.ndarray:
    """Return the cosine of the embeddings of each pair, (R, T), -1 to 1."""
    table_VD = model.backbone.gene_embedding.weight.detach().double().cpu().numpy()
    return normalize(table_VD[regulator_rows]) @ normalize(table_VD[target_rows]).T
