"""A checkpoint made ready to embed cells: its backbone, its tokenizer, and its identity."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from sc_mamba2.model import Backbone, read_checkpoint
from sc_mamba2.model.manifest import broken_checkpoint
from sc_mamba2.tasks.embedding.params import EmbeddingOptions
from sc_mamba2.tasks.shared.checkpoint_backbone import whole_backbone
from sc_mamba2.tokens import Tokenizer, TokenizerRules


@dataclass(frozen=True, eq=False)
class Encoder:
    """What turns cells into vectors.

    Parameters
    ----------
    backbone, tokenizer
        Of one checkpoint, pretrained or fine-tuned.
    checkpoint_sha256
        The checkpoint's identity.
    """

    backbone: Backbone
    tokenizer: Tokenizer
    checkpoint_sha256: str

    def identity(self, options: EmbeddingOptions) -> dict[str, object]:
        """Say what two embeddings must have in common to lie in one space; ready for JSON."""
        return {
            "checkpoint_sha256": self.checkpoint_sha256,
            "pooling": list(options.pooling),
            "max_length": self.tokenizer.rules.max_length,
        }


def read_encoder(options: EmbeddingOptions) -> Encoder:
    """Read the backbone and the tokenizer of a checkpoint.

    Raises
    ------
    UserError
        Rules of `read_checkpoint`, `checkpoint-config`, `checkpoint-state`.
    """
    checkpoint = read_checkpoint(options.checkpoint)
    try:
        rules = TokenizerRules(**checkpoint.config["tokenizer"])
    except (KeyError, TypeError, ValueError) as error:
        raise broken_checkpoint(
            "checkpoint-config",
            f"config.json of '{options.checkpoint}' lacks or garbles its tokenizer ({error})",
            "the rules of the tokenizer that it was trained with",
        ) from error
    if options.max_length is not None:
        rules = rules.model_copy(update={"max_length": options.max_length})
    backbone = whole_backbone(checkpoint)
    return Encoder(backbone, Tokenizer(checkpoint.vocabulary, rules), checkpoint.sha256)


def gene_table(encoder: Encoder) -> pd.DataFrame:
    """Return the embedding of every gene of the vocabulary.

    Returns
    -------
    DataFrame
        A row a gene: ``ensembl_id``, ``symbol``, and D columns ``scm_0`` … of the embedding table.
    """
    vocabulary = encoder.tokenizer.vocabulary
    rows = vocabulary.gene_rows
    table_VD = encoder.backbone.gene_embedding.weight.detach().float().cpu().numpy()
    names = {
        "ensembl_id": np.asarray(vocabulary.ids, dtype=object)[rows],
        "symbol": np.asarray(vocabulary.symbols, dtype=object)[rows],
    }
    return pd.concat([pd.DataFrame(names), vector_columns(table_VD[rows])], axis=1)


def vector_columns(vectors: np.ndarray, index: pd.Index | None = None) -> pd.DataFrame:
    """Return vectors, (N, D), as a table with the columns ``scm_0`` to ``scm_{D-1}``."""
    names = [f"scm_{column}" for column in range(vectors.shape[1])]
    return pd.DataFrame(vectors, index=index, columns=names)
