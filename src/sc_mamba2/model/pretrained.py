"""A pretrained model: a backbone with pretraining heads, called with tokens, saved as a folder.

Fine-tuned models are in `task_model`, the import of released weights in `upstream`. B cells,
L tokens, D width, K classes.
"""

from pathlib import Path
from typing import Any, NamedTuple, Self

import torch
from pydantic import Field, ValidationError
from torch import Tensor, nn

from sc_mamba2.errors import UserError
from sc_mamba2.model.backbone import Backbone
from sc_mamba2.model.config import ModelConfig
from sc_mamba2.model.heads import (
    CellClassifier,
    CellExpressionDecoder,
    Expression,
    ExpressionDecoder,
    GeneDecoder,
    expression_in_chunks,
)
from sc_mamba2.model.hub import OnHub
from sc_mamba2.model.manifest import broken_checkpoint, card_text, spaced
from sc_mamba2.model.molecules import MoleculeDecoder
from sc_mamba2.model.saving import load_state, read_checkpoint, write_checkpoint
from sc_mamba2.tokens import Options, Tokenizer, TokenizerRules

TASK = "pretrained"
RELEASED_TENSORS = "best_model.pt"


class Heads(Options):
    """Which heads a pretrained model has, and what they predict."""

    expression: bool = Field(True, description="a token's expression, from its hidden vector")
    expression_zeros: bool = Field(
        False, description="also the probability of a non-zero value, in that head"
    )
    cell_expression: bool = Field(
        True, description="a gene's expression, from the cell embedding alone"
    )
    cell_expression_zeros: bool = Field(
        False, description="also the probability of a non-zero value, in that head"
    )
    genes: bool = Field(
        False, description="which genes a cell expresses, from the cell embedding alone"
    )
    molecules: bool = Field(
        False, description="molecule rates of all genes, from cell embedding and tokens"
    )
    studies: int = Field(
        0, ge=0, description="studies with a row of their own in the molecule head"
    )
    types: tuple[str, ...] = Field(
        (), description="Cell Ontology terms predicted from the cell embedding; empty: none"
    )
    classes: int = Field(0, ge=0, description="classes of the classifier; 0: no classifier")
    classifier_layers: int = Field(2, ge=0, description="hidden layers of the classifier")


class Outputs(NamedTuple):
    """Outputs of a pretrained model; zero at pads, `None` where the head is absent."""

    hidden_BLD: Tensor
    expression_BL: Tensor | None
    expression_from_cell_BL: Tensor | None
    cell_BD: Tensor  # hidden vector of the first token, `<cls>`
    class_logits_BK: Tensor | None
    expression_nonzero_BL: Tensor | None  # probability of a non-zero value, 0 to 1
    expression_from_cell_nonzero_BL: Tensor | None  # the same, 0 to 1


class PretrainedModel(OnHub, nn.Module):
    """A backbone with the heads of pretraining.

    Parameters
    ----------
    backbone
        Its `scan_path` selects the implementation of the scan.
    tokenizer
        Its vocabulary has one entry per row of the gene embedding; saved with the model.
    heads
        Which heads to build.
    origin
        Where the weights come from, JSON-serialisable; goes into `config.json` and the model card.
    """

    checkpoint_sha256: str | None = None  # of the checkpoint it was loaded from

    def __init__(
        self,
        backbone: Backbone,
        tokenizer: Tokenizer,
        heads: Heads,
        origin: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.backbone, self.tokenizer = backbone, tokenizer
        self.heads, self.origin = heads, origin or {}
        width = backbone.config.d_model
        self.expression_decoder = (
            ExpressionDecoder(width, heads.expression_zeros) if heads.expression else None
        )
        self.cell_expression_decoder = (
            CellExpressionDecoder(width, zero_probability=heads.cell_expression_zeros)
            if heads.cell_expression
            else None
        )
        vocabulary_size = backbone.config.vocabulary_size
        self.gene_decoder = GeneDecoder(width, vocabulary_size) if heads.genes else None
        self.molecule_decoder = (
            MoleculeDecoder(width, vocabulary_size, heads.studies) if heads.molecules else None
        )
        self.type_decoder = nn.Linear(width, len(heads.types)) if heads.types else None
        self.classifier = (
            CellClassifier(width, heads.classes, heads.classifier_layers) if heads.classes else None
        )

    @property
    def config(self) -> ModelConfig:
        """The config of the backbone."""
        return self.backbone.config

    def forward(
        self, token_ids_BL: Tensor, bins_BL: Tensor, lengths: Tensor | None = None
    ) -> Outputs:
        """Compute every output of right-padded cells.

        Parameters
        ----------
        token_ids_BL
            Vocabulary ids, (B, L), `<cls>` first, `<pad>` on the right only.
        bins_BL
            Bins, (B, L), 0 at `<cls>`; ignored at pads. `Tokenizer.of(model)(adata)` returns both.
        lengths
            Number of real tokens per cell, (B,); by default inferred from the pads.

        Returns
        -------
        Outputs
            In the model's precision.

        Raises
        ------
        UserError
            Rule `token-ids`: ids outside the vocabulary, a pad before a token, unequal shapes, or lengths
            that contradict the pads. Rule `token-bins`: values that are not bins.
        """
        lengths_B = self._lengths(token_ids_BL, bins_BL)
        if lengths is not None and not torch.equal(lengths.to(lengths_B), lengths_B):
            found = f"lengths {lengths[:3].tolist()}… of rows with {lengths_B[:3].tolist()}… tokens"
            raise _wrong_tokens(found, "the real tokens of each row, the pads left out")
        hidden_BLD: Tensor = self.backbone(token_ids_BL, bins_BL, lengths_B)
        cell_BD = hidden_BLD[:, 0]
        pad_BL = token_ids_BL == self.tokenizer.vocabulary.pad_id
        expression: tuple[Tensor | None, Tensor | None] = (None, None)
        from_cell, cell_decoder = expression, self.cell_expression_decoder
        if self.expression_decoder is not None:
            decoded = expression_in_chunks(self.expression_decoder, hidden_BLD)
            expression = _at_tokens(decoded, pad_BL)
        if cell_decoder is not None:
            encode = self.backbone.gene_encoder
            decoded = expression_in_chunks(
                lambda ids: cell_decoder(cell_BD, encode(ids)), token_ids_BL
            )
            from_cell = _at_tokens(decoded, pad_BL)
        return Outputs(
            hidden_BLD=hidden_BLD,
            expression_BL=expression[0],
            expression_from_cell_BL=from_cell[0],
            cell_BD=cell_BD,
            class_logits_BK=None if self.classifier is None else self.classifier(cell_BD),
            expression_nonzero_BL=expression[1],
            expression_from_cell_nonzero_BL=from_cell[1],
        )

    def _lengths(self, token_ids_BL: Tensor, bins_BL: Tensor) -> Tensor:
        """Count the real tokens of each row; raise for invalid ids, shapes or padding."""
        vocabulary = self.tokenizer.vocabulary
        if token_ids_BL.is_floating_point() or token_ids_BL.is_complex():
            raise _wrong_tokens(f"ids of the type {token_ids_BL.dtype}", "whole numbers")
        if token_ids_BL.dim() != 2 or token_ids_BL.shape != bins_BL.shape or not len(bins_BL.T):
            raise _wrong_tokens(
                f"shapes {tuple(token_ids_BL.shape)} and {tuple(bins_BL.shape)}",
                "ids and values of one shape, cells x tokens, with one token at least",
            )
        if bool(((token_ids_BL < 0) | (token_ids_BL >= vocabulary.size)).any()):
            found = f"ids from {int(token_ids_BL.min())} to {int(token_ids_BL.max())}"
            raise _wrong_tokens(found, f"rows of the vocabulary, 0 to {vocabulary.size - 1}")
        real_BL = token_ids_BL != vocabulary.pad_id
        if bool((real_BL[:, 1:] & ~real_BL[:, :-1]).any()):
            raise _wrong_tokens("a pad before a token", f"{vocabulary.pad_id} on the right only")
        return real_BL.sum(dim=1)

    def description(self) -> dict[str, Any]:
        """Return the content of `config.json`: all that is needed to rebuild the model besides its tensors."""
        return {
            "task": TASK,
            "model": self.backbone.config.model_dump(mode="json"),
            "tokenizer": self.tokenizer.rules.model_dump(mode="json"),
            "heads": self.heads.model_dump(mode="json"),
            "origin": self.origin,
        }

    def save_pretrained(
        self, folder: str | Path, card: str | None = None, half: bool = False
    ) -> None:
        """Write the model as a checkpoint folder, replacing an older checkpoint.

        Parameters
        ----------
        folder
            Where to write it.
        card
            Text of `MODEL_CARD.md`; by default that of `model_card`.
        half
            Whether to store matrices in bfloat16, halving the size; vectors, such as norms and decays, keep
            their precision. The model computes in single precision either way.
        """
        state = self.state_dict()
        if half:
            state = {
                name: part.bfloat16() if part.dim() > 1 else part for name, part in state.items()
            }
        write_checkpoint(
            folder,
            state=state,
            config=self.description(),
            vocabulary=self.tokenizer.vocabulary,
            model_card=self.model_card() if card is None else card,
            overwrite=True,
        )

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> Self:
        """Read a model that `save_pretrained` or `scm import-weights` wrote, or a shipped one.

        Parameters
        ----------
        folder
            Its path, or the name of a shipped checkpoint or of one in the Hub's cache.

        Returns
        -------
        PretrainedModel
            On the CPU, in evaluation mode, in single precision at least, bit for bit as saved.

        Raises
        ------
        UserError
            The folder is broken (rules of `read_checkpoint`, `checkpoint-config`), belongs to a task
            (`checkpoint-task`), or is a released folder that was not imported (`checkpoint-file`).
        """
        if (Path(folder) / RELEASED_TENSORS).is_file():
            raise UserError(
                "checkpoint-file",
                found=f"released weights in '{folder}', not a checkpoint of this package",
                expected="a checkpoint folder",
                mend=f"scm import-weights '{folder}' --output CHECKPOINT, then load CHECKPOINT",
            )
        checkpoint = read_checkpoint(folder)
        content = checkpoint.config
        if (task := content.get("task")) != TASK:
            verb = "annotate" if task == "annotation" else "VERB"
            used = f"scm {verb} QUERY --checkpoint '{folder}'"
            raise UserError(
                "checkpoint-task",
                found=f"a checkpoint of the task '{task}' in '{folder}'",
                expected=f"one of the task '{TASK}': a backbone with the heads of pretraining",
                mend=f"use a fine-tuned folder with its verb: {used}",
            )
        config = checkpoint.model_config()
        try:
            heads = Heads(**content["heads"])
            tokenizer = Tokenizer(checkpoint.vocabulary, TokenizerRules(**content["tokenizer"]))
            origin = dict(content["origin"])
        except (KeyError, TypeError, ValueError, ValidationError) as error:
            expected = "the tables heads, tokenizer and origin of a pretrained model"
            found = f"config.json in '{folder}': {error}"
            raise broken_checkpoint("checkpoint-config", found, expected) from error
        # No random initialisation: every tensor comes from the file, and the RNG state is untouched.
        with torch.device("meta"):
            model = cls(Backbone(config), tokenizer, heads, origin)
        model.to_empty(device="cpu")
        load_state(model, checkpoint.state)
        model.checkpoint_sha256 = checkpoint.sha256
        return model.eval()

    def model_card(self) -> str:
        """Write the text of `MODEL_CARD.md`."""
        named = [name for name, _ in self.named_children() if name != "backbone"]
        parameters = sum(parameter.numel() for parameter in self.parameters())
        facts = {"parameters": parameters, "heads": ", ".join(map(spaced, named)) or "none"}
        return card_text(
            "Pretrained model", self.backbone.config, self.tokenizer.vocabulary, facts, self.origin
        )


def _at_tokens(found: Expression, pad_BL: Tensor) -> tuple[Tensor | None, Tensor | None]:
    value_BL, nonzero_BL = found
    if nonzero_BL is not None:
        nonzero_BL = nonzero_BL.masked_fill(pad_BL, 0)
    return value_BL.masked_fill(pad_BL, 0), nonzero_BL


def _wrong_tokens(found: str, expected: str) -> UserError:
    return UserError(
        "token-ids",
        found=found,
        expected=expected,
        mend="use ids of the model's own vocabulary and pad on the right",
    )
