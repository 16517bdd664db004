"""The backbone of a checkpoint, whole or for part of its vocabulary."""

import pandas as pd
import torch

from sc_mamba2.errors import UserError
from sc_mamba2.genes import Vocabulary
from sc_mamba2.model import Backbone, Checkpoint, ModelConfig, load_state, read_checkpoint
from sc_mamba2.tasks.shared.coverage import check_genes
from sc_mamba2.tokens import TokenizerRules

EMBEDDING = "gene_encoder.embedding.weight"


def backbone_from_checkpoint(
    folder: str,
    vocabulary: Vocabulary,
    rules: TokenizerRules,
    floor: float = 0.0,
    others: bool = False,
) -> Backbone:
    """Load a checkpoint's backbone for part of its vocabulary.

    Parameters
    ----------
    folder
        Checkpoint folder.
    vocabulary
        Genes of the task; their rows of the checkpoint's embedding are selected by id.
    rules
        The task's token rules, whose bins must equal the checkpoint's.
    floor
        Minimum share of the checkpoint's weight that these genes must cover.
    others
        Whether genes unknown to the checkpoint are allowed; their rows are zero.

    Raises
    ------
    UserError
        Too little weight covered (`coverage.check_genes`), an unknown gene, other bins, or a broken
        checkpoint.
    """
    checkpoint = read_checkpoint(folder)
    rows = checkpoint.vocabulary.rows_of(vocabulary.ids)
    if not others and (rows < 0).any():
        raise UserError(
            "checkpoint-genes",
            found=f"{int((rows < 0).sum()):,} genes that the checkpoint '{folder}' does not know",
            expected="a tokenizer with the checkpoint's vocabulary",
            mend=f"set tokenization.vocabulary to '{folder}'",
        )
    check_start(folder, pd.Index(vocabulary.ids)[rows >= 0], floor)
    state = _state_of_backbone(checkpoint)
    table_VD = state[EMBEDDING][torch.from_numpy(rows)]
    state[EMBEDDING] = table_VD.masked_fill(torch.from_numpy(rows < 0).unsqueeze(1), 0)
    fields = checkpoint.model_config().model_dump()
    read = checkpoint.token_rules()
    if (read.bins, read.n_bins) != (rules.bins, rules.n_bins):
        raise UserError(
            "checkpoint-bins",
            found=f"tokens with {rules.n_bins} bins of {rules.bins}",
            expected=f"{read.n_bins} bins of {read.bins}, as in the training of '{folder}'",
            mend=f"set tokenization.vocabulary to '{folder}'; RNA + protein or ATAC needs a checkpoint "
            "with quantile bins",
        )
    fields |= {"vocabulary_size": vocabulary.size, "pad_id": vocabulary.pad_id}
    backbone = Backbone(ModelConfig.build(**fields))
    load_state(backbone, state)
    return backbone


def check_start(folder: str, gene_ids: pd.Index, floor: float) -> None:
    """Raise rule ``model-genes`` if these genes cover less than `floor` of a checkpoint's weight."""
    checkpoint = read_checkpoint(folder)
    lengths_V = _state_of_backbone(checkpoint)[EMBEDDING].float().square().sum(dim=1).numpy()
    check_genes(checkpoint.vocabulary, lengths_V, gene_ids, floor, what=f"the start '{folder}'")


def whole_backbone(checkpoint: Checkpoint) -> Backbone:
    """Return the whole backbone of a checkpoint of any task, without heads, in evaluation mode.

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
