"""Where a backbone comes from: a checkpoint folder, or a preset with a start for its genes."""

import numpy as np
import torch
from scipy import sparse
from sklearn.decomposition import TruncatedSVD

from sc_mamba2.errors import UserError
from sc_mamba2.genes import Vocabulary
from sc_mamba2.model import (
    Backbone,
    Checkpoint,
    ModelConfig,
    load_state,
    preset,
    read_checkpoint,
)
from sc_mamba2.pipelines.backbone.params import BackboneParams
from sc_mamba2.tokens import TokenizedCells

EMBEDDING = "gene_encoder.embedding.weight"


def new_backbone(vocabulary: Vocabulary, n_bins: int, params: BackboneParams) -> Backbone:
    """Build a backbone of the preset for a vocabulary, its weights drawn from torch's generator."""
    config = preset(
        params.preset,
        vocabulary.size,
        pad_id=vocabulary.pad_id,
        n_bins=n_bins,
        dropout=params.dropout,
    )
    return Backbone(config)


def backbone_from_checkpoint(folder: str, vocabulary: Vocabulary, n_bins: int) -> Backbone:
    """Load a checkpoint's backbone for a part of its vocabulary.

    Parameters
    ----------
    folder
        Checkpoint folder.
    vocabulary
        Genes that the task uses; its rows are picked from the checkpoint's embedding by id.
    n_bins
        Value bins of the task's tokens.

    Raises
    ------
    UserError
        A gene that the checkpoint does not know, other bins, or a broken checkpoint.
    """
    checkpoint = read_checkpoint(folder)
    rows = checkpoint.vocabulary.rows_of(vocabulary.ids)
    if (rows < 0).any():
        raise UserError(
            "checkpoint-genes",
            found=f"{int((rows < 0).sum()):,} genes that the checkpoint '{folder}' does not know",
            expected="a tokenizer made from the checkpoint's vocabulary",
            mend=f"set tokenization.vocabulary to '{folder}'",
        )
    state = _state_of_backbone(checkpoint)
    state[EMBEDDING] = state[EMBEDDING][torch.from_numpy(rows)]
    fields = checkpoint.model_config().model_dump()
    if fields["n_bins"] != n_bins:
        raise UserError(
            "checkpoint-bins",
            found=f"tokens of {n_bins} bins",
            expected=f"{fields['n_bins']} bins, as the checkpoint '{folder}' was trained with",
            mend=f"set tokenization.n_bins to {fields['n_bins']}",
        )
    fields |= {"vocabulary_size": vocabulary.size, "pad_id": vocabulary.pad_id}
    backbone = Backbone(ModelConfig.build(**fields))
    load_state(backbone, state)
    return backbone


def whole_backbone(checkpoint: Checkpoint) -> Backbone:
    """Return a checkpoint's backbone as it was trained, without the heads, whatever its task.

    Raises
    ------
    UserError
        Rules `checkpoint-config` and `checkpoint-state`.
    """
    with torch.device("meta"):
        backbone = Backbone(checkpoint.model_config())
    backbone.to_empty(device="cpu")
    load_state(backbone, _state_of_backbone(checkpoint))
    return backbone.eval()


def _state_of_backbone(checkpoint: Checkpoint) -> dict[str, torch.Tensor]:
    prefix = "backbone."
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in checkpoint.state.items()
        if name.startswith(prefix)
    }


def start_from_svd(
    backbone: Backbone, tokens: TokenizedCells, vocabulary: Vocabulary, scale: float, seed: int
) -> None:
    """Start the gene embedding from a truncated SVD of the training cells, in place.

    The matrix of cells x genes (log-normalised) is written as ``U S V``; gene g starts at
    ``sqrt(S) V[:, g]``, scaled to a root mean square of `scale`, so that the first pooled sum of
    value times embedding is a principal-component score. Where the cells give fewer directions
    than the width, the rest keeps its random start.

    Parameters
    ----------
    backbone
        Backbone of width D for the vocabulary.
    tokens
        Training cells.
    vocabulary
        The tokens' vocabulary.
    scale
        Root mean square of the written entries.
    seed
        Seed of the randomised SVD.
    """
    # In double precision: near-equal singular values would turn on the rounding of another machine.
    cells = sparse.csr_matrix(
        (tokens.values.astype(np.float64), tokens.gene_rows, tokens.offsets),
        shape=(len(tokens), vocabulary.size),
    )
    weight_VD = backbone.gene_embedding.weight
    directions = min(weight_VD.shape[1], len(tokens) - 1, len(vocabulary.gene_rows) - 1)
    if directions < 1:
        return
    svd = TruncatedSVD(directions, random_state=seed).fit(cells)
    start_VR = (np.sqrt(svd.singular_values_)[:, None] * svd.components_).T
    start_VR *= scale / max(float(np.sqrt((start_VR**2).mean())), 1e-12)
    genes = torch.tensor(vocabulary.gene_rows)
    with torch.no_grad():
        weight_VD[genes, :directions] = torch.from_numpy(start_VR).float()[genes]
