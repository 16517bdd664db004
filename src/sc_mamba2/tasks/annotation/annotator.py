"""Base class of annotation models: types, stored labelled reference cells, calibration.

There are two kinds: a consensus of simple methods (`consensus.py`), and a network (`model.py`).
"""

from typing import Any, Self

import numpy as np
import pandas as pd
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from sc_mamba2.cells.cell_ontology import load_cell_ontology
from sc_mamba2.methods.temperature import at_temperature
from sc_mamba2.model import Backbone, TaskModel
from sc_mamba2.tasks.annotation.params import HeadParams
from sc_mamba2.tasks.annotation.rollup import Rollup
from sc_mamba2.tokens import TokenizedCells, Tokenizer, as_matrix

LABEL = "label"
TERM_IDS = "term_ids"  # Cell Ontology ids of the reference's labels
BATCH = "batch"
PLACE = "place"  # index of a training cell before the validation split
TOTAL = "total"  # total counts of a cell
_MIN_KEPT_CELLS = 20  # per class
_UNKNOWN = -1.0  # total counts of a kept cell: checkpoints must not contain NaN


class Calibration(BaseModel):
    """Temperature of a model's logits, and its effect on the held-out cells used to fit it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    temperature: float = Field(1.0, gt=0, description="divisor of the logits")
    cells: int = Field(0, ge=0, description="held-out cells it was fitted to; 0: not fitted")
    applied: bool = Field(True, description="whether it helped in cross-fitting, and is applied")
    error_before: float | None = Field(None, description="calibration error at temperature 1")
    error_after: float | None = Field(
        None, description="the same, each cell at the temperature fitted to the other folds"
    )
    loss_before: float | None = Field(
        None, description="mean negative log-likelihood at temperature 1"
    )
    loss_after: float | None = Field(None, description="the same, as `error_after`")
    set_threshold: float | None = Field(
        None, ge=0, le=1, description="minimum probability of a type in a cell's set"
    )

    def apply(self, probability_NK: np.ndarray) -> np.ndarray:
        """Return probabilities at the calibrated temperature; rows sum to 1."""
        if self.temperature == 1:
            return probability_NK
        return at_temperature(probability_NK, self.temperature)


def mean_squares(cells: TokenizedCells, size: int) -> np.ndarray:
    """Return the mean squared value of every token, (V,), V = `size`."""
    return np.asarray(as_matrix(cells, size).power(2).mean(axis=0)).ravel()


class Annotator(TaskModel):
    """A model that assigns cells one of K types.

    Parameters
    ----------
    backbone
        The trunk and the gene embedding.
    tokenizer
        Makes the model's input tokens.
    labels
        K class names, in the order of the probabilities.
    head
        Parameters of the classifier.
    label_key
        Column of `obs` that holds the classes.
    rollup
        Broad type of every class, if any.
    calibration
        Temperature of the probabilities; None: not fitted.
    kept
        Numbers of stored cells and of their tokens, see `keep_cells`.
    term_ids
        Cell Ontology ids of the labels in the reference; see `terms`.
    """

    task = "annotation"
    keeps_cells = True  # whether the checkpoint contains the labelled cells

    def __init__(
        self,
        backbone: Backbone,
        tokenizer: Tokenizer,
        labels: tuple[str, ...],
        head: HeadParams,
        label_key: str,
        rollup: Rollup | None = None,
        calibration: Calibration | None = None,
        kept: tuple[int, int] = (0, 0),
        term_ids: dict[str, str] | None = None,
    ) -> None:
        super().__init__(backbone, tokenizer)
        self.labels, self.head, self.label_key = labels, head, label_key
        self.rollup, self.calibration = rollup, calibration or Calibration()
        self.term_ids = term_ids or {}
        self._allocate_kept(*kept)

    @classmethod
    def from_settings(
        cls, backbone: Backbone, tokenizer: Tokenizer, settings: dict[str, Any]
    ) -> Self:
        """Build an untrained model of the kind in the settings; imports are local, to avoid a cycle."""
        from sc_mamba2.tasks.annotation.consensus import ConsensusModel
        from sc_mamba2.tasks.annotation.model import AnnotationModel
        from sc_mamba2.tasks.annotation.summed import SummedConsensus

        kind: type[Annotator] = ConsensusModel if "consensus" in settings else AnnotationModel
        kind = SummedConsensus if "sums" in settings else kind
        return kind.from_settings(backbone, tokenizer, settings)  # type: ignore[return-value]

    def settings(self) -> dict[str, Any]:
        """Return what `from_settings` needs to build the same model."""
        return {
            "labels": list(self.labels),
            "head": self.head.model_dump(mode="json"),
            "label_key": self.label_key,
            "rollup": self.rollup,
            "calibration": self.calibration.model_dump(mode="json"),
            "kept": [len(self.kept_classes_N), len(self.kept_values_T)],
            "term_ids": self.term_ids,
        }

    @classmethod
    def _shared(cls, settings: dict[str, Any]) -> dict[str, Any]:
        """Return the arguments that all kinds share from stored settings."""
        return {
            "labels": tuple(settings["labels"]),
            "head": HeadParams(**settings["head"]),
            "label_key": settings["label_key"],
            "rollup": settings["rollup"],
            "calibration": Calibration(**settings["calibration"]),
            "kept": tuple(settings["kept"]),
            "term_ids": settings.get("term_ids"),
        }

    @property
    def terms(self) -> dict[str, str]:
        """Cell Ontology ids of the labels that have one, from the reference or by name."""
        return load_cell_ontology().match(self.labels, self.term_ids)

    def card_facts(self) -> dict[str, Any]:
        """Return the types for the model card."""
        return {"types": ", ".join(self.labels)}

    def targets(self, obs: pd.DataFrame) -> dict[str, Tensor]:
        """Return the classes of cells from ``obs["label"]``, (N,) int64."""
        classes = pd.Categorical(obs[LABEL], categories=list(self.labels)).codes
        assert (classes >= 0).all(), "every training label is a class of the model"
        return {"class_B": torch.from_numpy(classes.astype("int64"))}

    def _allocate_kept(self, cells: int, entries: int) -> None:
        """Register buffers for the kept cells, saved in the checkpoint."""
        self.kept_gene_rows_T: Tensor
        self.kept_bins_T: Tensor
        self.kept_values_T: Tensor
        self.kept_classes_N: Tensor
        self.kept_batches_N: Tensor
        self.kept_totals_N: Tensor
        self.kept_offsets: Tensor
        kinds = {"gene_rows": torch.int32, "bins": torch.int16, "values": torch.float32}
        for name, kind in kinds.items():
            self._keep(f"kept_{name}_T", torch.zeros(entries, dtype=kind))
        self._keep("kept_offsets", torch.zeros(cells + 1, dtype=torch.int64))
        self._keep("kept_classes_N", torch.zeros(cells, dtype=torch.int64))
        self._keep("kept_batches_N", torch.zeros(cells, dtype=torch.int64))
        self._keep("kept_totals_N", torch.zeros(cells, dtype=torch.float64))

    def _keep(self, name: str, tensor: Tensor) -> None:
        self.register_buffer(name, tensor, persistent=self.keeps_cells)

    def choose_cells(self, tokens: TokenizedCells, seed: int) -> np.ndarray:
        """Return the sorted positions of the labelled cells to keep.

        Sampling is stratified by class, but takes at least 20 cells of each class if available.
        """
        generator = np.random.default_rng(seed)
        classes_N = self.targets(tokens.obs)["class_B"].numpy()
        order_N = generator.permutation(len(tokens))
        drawn = pd.Series(classes_N[order_N]).groupby(classes_N[order_N])
        turn_N, count_N = drawn.cumcount().to_numpy(), drawn.transform("size").to_numpy()
        place_N = np.where(turn_N < _MIN_KEPT_CELLS, 0.0, (turn_N + 1) / count_N)
        return np.sort(order_N[np.argsort(place_N, kind="stable")[: self.head.kept_cells]])

    def keep_cells(self, kept: TokenizedCells) -> None:
        """Store labelled cells (see `choose_cells`), to refit to queries with other genes or depth."""
        self._allocate_kept(len(kept), len(kept.values))
        for name in ("gene_rows", "bins", "values"):
            getattr(self, f"kept_{name}_T").copy_(torch.from_numpy(getattr(kept, name)))
        self.kept_offsets.copy_(torch.from_numpy(kept.offsets))
        self.kept_classes_N.copy_(self.targets(kept.obs)["class_B"])
        totals_N = kept.obs[TOTAL].to_numpy(np.float64) if TOTAL in kept.obs else np.nan
        stored_N = np.nan_to_num(np.broadcast_to(totals_N, len(kept)), nan=_UNKNOWN)
        self.kept_totals_N.copy_(torch.from_numpy(stored_N))
        if BATCH in kept.obs:
            codes_N = pd.Categorical(kept.obs[BATCH]).codes.astype(np.int64)
            self.kept_batches_N.copy_(torch.from_numpy(codes_N))

    def kept_cells(self) -> TokenizedCells:
        """Return the kept cells, with class, batch (a code) and total counts (NaN: unknown) in `obs`."""
        names = np.asarray(self.labels, dtype=object)[self.kept_classes_N.cpu().numpy()]
        totals_N = self.kept_totals_N.cpu().numpy()
        return TokenizedCells(
            gene_rows=self.kept_gene_rows_T.cpu().numpy(),
            bins=self.kept_bins_T.cpu().numpy(),
            values=self.kept_values_T.cpu().numpy(),
            offsets=self.kept_offsets.cpu().numpy(),
            obs=pd.DataFrame(
                {
                    LABEL: names,
                    BATCH: self.kept_batches_N.cpu().numpy(),
                    TOTAL: np.where(totals_N == _UNKNOWN, np.nan, totals_N),
                }
            ),
        )
