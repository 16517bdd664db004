"""What a trained model tells of cells, from all that they have and from each part of it.

Legend as in `head`.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import pandas as pd
import torch
from torch import Tensor

from sc_mamba2.tokens import KINDS, Batch

if TYPE_CHECKING:
    from sc_mamba2.tasks.multiomics.model import MultiomicsModel

MOST_DECODED = 5000  # features of a modality without an imputer that are told for every cell


def views_of_cells(
    model: "MultiomicsModel", obs: pd.DataFrame
) -> Callable[[Batch], dict[str, Tensor]]:
    """Return the `predict` of `MultiomicsModel.predictor` for the cells of a table."""
    targets = model.targets(obs)

    def tell(batch: Batch) -> dict[str, Tensor]:
        own = {name: all_.to(batch.cells_B.device)[batch.cells_B] for name, all_ in targets.items()}
        batch_B, present_BM = own["batch_B"], own["present_BM"]
        whole_BE, _ = model.embed(batch, batch_B)
        told = {"joint": whole_BE}
        kinds = tuple(model.widths)
        have = {kind: present_BM[:, KINDS.index(kind)] for kind in kinds}
        seen: dict[tuple[str, ...], tuple[Batch, Tensor, Tensor | None]] = {}
        for kind in kinds:
            told[f"embedding_{kind}"] = _or_nan(
                _seen(model, batch, batch_B, (kind,), seen)[1], have[kind]
            )
        for kind in kinds:
            others = tuple(other for other in kinds if other != kind)
            if kind not in model.imputers and len(model.rows_of(kind)) > MOST_DECODED:
                continue
            view, cell_BE, states_BD = _seen(model, batch, batch_B, others, seen)
            any_B = torch.stack([have[other] for other in others]).any(dim=0)
            imputed = _imputed(model, kind, view, batch_B, cell_BE, states_BD)
            told[f"imputed_{kind}"] = _or_nan(imputed, any_B)
        return told

    return tell


def imputation_inputs(
    model: "MultiomicsModel", kind: str, obs: pd.DataFrame
) -> Callable[[Batch], dict[str, Tensor]]:
    """Return what gives the numbers from which a modality is told: ``cell``, and ``state`` if there is a trunk."""
    codes = model.targets(obs)["batch_B"]
    others = tuple(other for other in model.widths if other != kind)

    def tell(batch: Batch) -> dict[str, Tensor]:
        batch_B = codes.to(batch.cells_B.device)[batch.cells_B]
        cell_BE, states_BD = model.embed(model.view(batch, others), batch_B)
        told = {"cell": cell_BE}
        return told if states_BD is None else told | {"state": states_BD}

    return tell


def _seen(
    model: "MultiomicsModel",
    batch: Batch,
    batch_B: Tensor,
    kinds: tuple[str, ...],
    seen: dict[tuple[str, ...], tuple[Batch, Tensor, Tensor | None]],
) -> tuple[Batch, Tensor, Tensor | None]:
    if kinds not in seen:
        view = model.view(batch, kinds)
        seen[kinds] = (view, *model.embed(view, batch_B))
    return seen[kinds]


def _imputed(
    model: "MultiomicsModel",
    kind: str,
    view: Batch,
    batch_B: Tensor,
    cell_BE: Tensor,
    states_BD: Tensor | None,
) -> Tensor:
    if kind in model.imputers:
        numbers = cell_BE if states_BD is None else torch.cat([cell_BE, states_BD], dim=1)
        told: Tensor = model.imputers[kind](view, numbers)
        return told
    return model.decode(cell_BE, batch_B)[:, model.rows_of(kind)]


def _or_nan(told: Tensor, there_B: Tensor) -> Tensor:
    return told.masked_fill(~there_B[:, None], float("nan"))
