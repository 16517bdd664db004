"""A checkpoint loaded to embed cells: backbone, tokenizer, and identity."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from sc_mamba2.errors import UserError
from sc_mamba2.model import Backbone, read_checkpoint
from sc_mamba2.model.task_model import squared_lengths
from sc_mamba2.tasks.embedding.index import ReferenceIndex
from sc_mamba2.tasks.embedding.params import EmbeddingOptions, KeyParams
from sc_mamba2.tasks.shared.checkpoint_backbone import whole_backbone
from sc_mamba2.tasks.shared.facts import vector_columns
from sc_mamba2.tokens import Tokenizer


@dataclass(frozen=True, eq=False)
class Encoder:
    """The model that turns cells into vectors.

    Parameters
    ----------
    backbone, tokenizer
        Those of one checkpoint, pretrained or fine-tuned.
    checkpoint_sha256
        Hash of the checkpoint.
    weight_V
        Weight of each token, (V,), for gene coverage.
    mapped
        Whether the weights include the expression in the reference of an index.
    """

    backbone: Backbone
    tokenizer: Tokenizer
    checkpoint_sha256: str
    weight_V: np.ndarray
    mapped: bool = False

    def gene_vectors(self) -> np.ndarray:
        """Return the embedding of every token, (V, D) float32."""
        table_VD = self.backbone.gene_embedding.weight.detach().float().cpu()
        return np.asarray(table_VD.numpy())

    def identity(self, options: EmbeddingOptions) -> dict[str, object]:
        """Return what embeddings in the same space must have in common, JSON-ready."""
        return {
            "checkpoint_sha256": self.checkpoint_sha256,
            "pooling": list(options.pooling),
            "max_length": self.tokenizer.rules.max_length,
        }


def load_encoder(options: EmbeddingOptions, index: ReferenceIndex | None = None) -> Encoder:
    """Load backbone and tokenizer of a checkpoint, which must share the embedding space of `index` if given.

    Raises
    ------
    UserError
        Rules of `read_checkpoint`, `checkpoint-config`, `checkpoint-state`, `index-checkpoint`.
    """
    checkpoint = read_checkpoint(options.checkpoint)
    rules = checkpoint.token_rules()
    if options.max_length is not None:
        rules = rules.model_copy(update={"max_length": options.max_length})
    tokenizer = Tokenizer(checkpoint.vocabulary, rules)
    backbone = whole_backbone(checkpoint)
    encoder = Encoder(backbone, tokenizer, checkpoint.sha256, squared_lengths(backbone))
    if index is None:
        return encoder
    index.check_space(encoder.identity(options))
    return replace(encoder, weight_V=index.squares_V * encoder.weight_V, mapped=True)


def load_encoder_for_index(options: EmbeddingOptions, obs_keys: KeyParams) -> Encoder:
    """Load the checkpoint for making an index; raise rule ``options`` first if no label column is named."""
    if obs_keys.label_key is None:
        raise UserError(
            "options",
            found="an index without labels",
            expected="the column of obs with the cell types",
            mend="add --label-key KEY",
        )
    return load_encoder(options)


def gene_table(encoder: Encoder) -> pd.DataFrame:
    """Return the embedding of every gene of the vocabulary.

    Returns
    -------
    DataFrame
        One row per gene: ``ensembl_id``, ``symbol``, and D columns ``scm_0`` … of the embedding.
    """
    vocabulary = encoder.tokenizer.vocabulary
    rows = vocabulary.gene_rows
    table_VD = encoder.gene_vectors()
    names = {
        "ensembl_id": np.asarray(vocabulary.ids, dtype=object)[rows],
        "symbol": np.asarray(vocabulary.symbols, dtype=object)[rows],
    }
    return pd.concat([pd.DataFrame(names), vector_columns(table_VD[rows])], axis=1)
