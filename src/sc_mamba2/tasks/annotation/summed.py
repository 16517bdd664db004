"""A consensus that stores sums over similar cells instead of cells, so that it can be shared freely.

Legend: S sums, V tokens, R drawn cells, D width.
"""

from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy import sparse
from torch import Tensor

from sc_mamba2.cells.scale import CELL_TOTAL
from sc_mamba2.errors import UserError
from sc_mamba2.methods.sums_of_cells import MIN_CELLS, Sums, draw_synthetic_cells, sum_alike
from sc_mamba2.model import Backbone
from sc_mamba2.tasks.annotation.annotator import LABEL, TOTAL
from sc_mamba2.tasks.annotation.consensus import ConsensusModel
from sc_mamba2.tokens import TokenizedCells, Tokenizer

_MAX_EXPRESSING_CELLS = 255  # limit of the stored number of cells in a sum that express a gene


class SummedConsensus(ConsensusModel):
    """A consensus on cells drawn from stored sums; `sums` is their number, for the rest see the base class.

    Experts are weighted, and probabilities calibrated, on the reference's own cells before these are summed.
    Sums are stored as log1p of counts in half precision: exact up to 250 molecules, within 0.4 % above.
    """

    keeps_cells = False

    def __init__(
        self, backbone: Backbone, tokenizer: Tokenizer, *, sums: int = 0, **shared: Any
    ) -> None:
        super().__init__(backbone, tokenizer, **shared)
        self.sums_SV: Tensor
        self.sum_classes_S: Tensor
        self.sum_sizes_S: Tensor
        self.expressed_SV: Tensor
        shape = sums, tokenizer.vocabulary.size
        self.register_buffer("sums_SV", torch.zeros(shape, dtype=torch.float16))
        self.register_buffer("expressed_SV", torch.zeros(shape, dtype=torch.uint8))
        self.register_buffer("sum_classes_S", torch.zeros(sums, dtype=torch.int64))
        self.register_buffer("sum_sizes_S", torch.zeros(sums, dtype=torch.int64))
        self.register_load_state_dict_post_hook(_draw)

    def settings(self) -> dict[str, Any]:
        """Return what `from_settings` needs to build the same model."""
        return super().settings() | {"kept": [0, 0], "sums": len(self.sum_sizes_S)}

    @classmethod
    def _shared(cls, settings: dict[str, Any]) -> dict[str, Any]:
        return super()._shared(settings) | {"sums": settings["sums"]}

    def fit_directly(
        self, parts: list[tuple[TokenizedCells, dict[str, np.ndarray]]], seed: int
    ) -> None:
        """Fit as the base class does, then store sums of the kept cells.

        Raises
        ------
        UserError
            Rule ``sums-of-counts``: the reference has no counts, or a type has too few cells for a sum.
        """
        super().fit_directly(parts, seed)
        reference, classes_R = self.reference(), self.kept_classes_N.cpu().numpy()
        few = [
            f"{name} ({cells})"
            for name, cells in zip(self.labels, np.bincount(classes_R), strict=True)
            if cells < MIN_CELLS
        ]
        if few or not reference.counted:
            raise UserError(
                "sums-of-counts",
                found=f"few cells of {', '.join(few)}" if few else "a reference without counts",
                expected=f"counts, and {MIN_CELLS} cells of every type, the fewest that are summed",
                mend="remove these types from the reference, or keep cells: annotation.head.keeps=cells",
            )
        batches_R = self.kept_batches_N.cpu().numpy()
        sums = sum_alike(reference.amounts_NG, classes_R, batches_R, seed)
        shape = len(sums.sizes_S), self.tokenizer.vocabulary.size
        counts_SV, expressed_SV = np.zeros(shape, np.float16), np.zeros(shape, np.uint8)
        counts_SV[:, self.measured_V] = np.log1p(sums.counts_SG)
        expressed_SV[:, self.measured_V] = sums.expressed_SG.clip(max=_MAX_EXPRESSING_CELLS)
        self.sums_SV, self.expressed_SV = map(torch.from_numpy, (counts_SV, expressed_SV))
        self.sum_classes_S = torch.from_numpy(sums.classes_S)
        self.sum_sizes_S = torch.from_numpy(sums.sizes_S)
        self.draw_cells()

    def draw_cells(self) -> None:
        """Draw the experts' reference cells, as many as were summed; the same ones each time."""
        counts_SV = np.expm1(self.sums_SV.cpu().numpy().astype(np.float64)).round()
        classes_S, sizes_S = self.sum_classes_S.cpu().numpy(), self.sum_sizes_S.cpu().numpy()
        expressed_SV = self.expressed_SV.cpu().numpy()
        counts_RV = draw_synthetic_cells(Sums(counts_SV, expressed_SV, classes_S, sizes_S), seed=0)
        totals_R = np.asarray(counts_RV.sum(axis=1)).ravel()
        values_RV = sparse.diags(CELL_TOTAL / np.maximum(totals_R, 1)) @ counts_RV
        classes_R = np.repeat(classes_S, sizes_S)
        obs = pd.DataFrame(
            {LABEL: np.asarray(self.labels, dtype=object)[classes_R], TOTAL: totals_R}
        )
        ids = np.asarray(self.tokenizer.vocabulary.ids)
        self.keep_cells(self.tokenizer.tokenize(sparse.csr_matrix(values_RV).log1p(), ids, obs))


def _draw(model: SummedConsensus, _: object) -> None:
    model.draw_cells()
