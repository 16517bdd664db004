"""In-silico knock-outs: predicted expression of the targets without a regulator's token.

Legend: N cells, M cells of several regulators, R regulators, T targets, B cells of a batch, D width.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sc_mamba2.model import PretrainedModel
from sc_mamba2.tasks.shared.probe import count_parameters
from sc_mamba2.tasks.shared.progress import training_progress
from sc_mamba2.tasks.shared.work import Work, count_tokens, forward_rate, forward_work
from sc_mamba2.tokens import Batch, TokenizedCells, stack_cells
from sc_mamba2.training import choose_device, run_over_cells
from sc_mamba2.training.machine import peak_bytes

_TOGETHER = 16  # regulators whose cells fill batches together


@dataclass(frozen=True, eq=False)
class KnockOuts:
    """Effects of knocking out each regulator.

    Attributes
    ----------
    effect_RT
        Mean over cells of expected expression with minus without the regulator, in bins or log rates,
        depending on the model: positive if the regulator raises the target.
    strength_RT
        ``effect / (s + median_t s)``, s the standard deviation of the change over cells; 0 if no cell of
        the sample expresses the regulator.
    specific_RT
        The part of the strength specific to this regulator, see `specific`. Its magnitude is the score.
    cells_R
        Number of cells in which the regulator was knocked out.
    """

    effect_RT: np.ndarray
    strength_RT: np.ndarray
    specific_RT: np.ndarray
    cells_R: np.ndarray


def knock_out(
    model: PretrainedModel,
    tokens: TokenizedCells,
    regulator_rows: np.ndarray,
    target_rows: np.ndarray,
    cells_a_regulator: int,
    batch_size: int,
    device: str = "cpu",
) -> KnockOuts:
    """Remove every regulator from cells that express it, and compare the decoded targets.

    Parameters
    ----------
    model
        A model with a head that predicts expression from the cell embedding.
    tokens
        N cells; for each regulator the first that express it are used.
    regulator_rows, target_rows
        (R,) and (T,) rows of the vocabulary.
    cells_a_regulator
        Maximum number of cells per regulator, above 0.
    batch_size
        Cells per batch; affects speed only.
    device
        auto, cpu or cuda.
    """
    expected = decoder(model, target_rows, batch_size, choose_device(device))
    shape = len(regulator_rows), len(target_rows)
    effect_RT, strength_RT, cells_R = np.zeros(shape), np.zeros(shape), np.zeros(shape[0], int)
    having = cells_with(tokens, regulator_rows, cells_a_regulator)
    used = np.unique(np.concatenate(having)) if having else np.empty(0, dtype=np.int64)
    with_MT = expected(tokens.take(used))
    cells_R[:] = [len(cells) for cells in having]
    with training_progress("knock-outs", unit="gene") as on_step:
        for start in range(0, shape[0], _TOGETHER):
            group = [at for at in range(start, min(start + _TOGETHER, shape[0])) if len(having[at])]
            if group:
                own = [tokens.take(having[at]) for at in group]
                parts = [
                    cells.keep(cells.gene_rows != regulator_rows[at])
                    for cells, at in zip(own, group, strict=True)
                ]
                without_MT = expected(stack_cells(parts))
                cells_M = np.concatenate([having[at] for at in group])
                change_MT = with_MT[np.searchsorted(used, cells_M)] - without_MT
                changes = np.split(change_MT, np.cumsum(cells_R[group])[:-1])
                for at, change_NT in zip(group, changes, strict=True):
                    effect_RT[at], strength_RT[at] = summarise(change_NT)
            on_step(min(start + _TOGETHER, shape[0]), shape[0])
    return KnockOuts(effect_RT, strength_RT, specific(strength_RT), cells_R)


def knock_out_work(
    model: PretrainedModel,
    tokens: TokenizedCells,
    regulator_rows: np.ndarray,
    target_rows: np.ndarray,
    cells_a_regulator: int,
    batch_size: int,
    device: str = "cpu",
    models: int = 1,
) -> Work:
    """Count the cells that `knock_out` decodes with the same arguments, time a few, scale by `models`."""
    limit, place = model.tokenizer.rules.max_length, choose_device(device)
    having = np.concatenate(cells_with(tokens, regulator_rows, cells_a_regulator))
    counts = {
        "cells as they are": count_tokens(tokens.lengths[np.unique(having)], limit),
        "cells without a regulator": count_tokens(tokens.lengths[having] - 1, limit),
    }
    rate = forward_rate(decoder(model, target_rows, batch_size, place), tokens, batch_size)
    return forward_work(
        "knock-outs",
        counts,
        rate / models,
        batch_size,
        parameters=count_parameters(model),
        peak_bytes=peak_bytes(place),
        facts={"regulators": len(regulator_rows), "targets": len(target_rows), "models": models},
    )


def cells_with(tokens: TokenizedCells, rows: np.ndarray, most: int) -> list[np.ndarray]:
    """Return, for each gene, the first cells that express it, at most `most`."""
    owner = np.repeat(np.arange(len(tokens)), tokens.lengths)
    return [np.unique(owner[tokens.gene_rows == row])[:most] for row in rows]


def summarise(change_NT: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return effect and strength, (T,) each; see `KnockOuts`."""
    effect_T, spread_T = change_NT.mean(axis=0), change_NT.std(axis=0)
    # The median keeps targets that hardly change from winning by a tiny standard deviation.
    scale_T = spread_T + np.median(spread_T)
    strength_T = np.divide(effect_T, scale_T, out=np.zeros_like(effect_T), where=scale_T > 0)
    return effect_T, strength_T


def specific(strength_RT: np.ndarray) -> np.ndarray:
    """Subtract the effect common to all regulators.

    Removing any token moves a cell embedding in much the same direction, so that the raw effects of
    regulators are nearly proportional. Each row is scaled to mean 0 and standard deviation 1, then the
    mean row is subtracted (with three or more regulators).
    """
    centred_RT = strength_RT - strength_RT.mean(axis=1, keepdims=True)
    spread_R1 = centred_RT.std(axis=1, keepdims=True)
    rows_RT = np.divide(centred_RT, spread_R1, out=np.zeros_like(centred_RT), where=spread_R1 > 0)
    known_R = spread_R1[:, 0] > 0
    if known_R.sum() < 3:
        return rows_RT
    return np.where(known_R[:, None], rows_RT - rows_RT[known_R].mean(axis=0), 0.0)


def decoder(
    model: PretrainedModel, target_rows: np.ndarray, batch_size: int, place: torch.device
) -> Callable[[TokenizedCells], np.ndarray]:
    """Return a function that decodes the expected expression of the targets, (N, T) float64."""
    model = model.to(place).eval()
    rows_T = torch.from_numpy(np.asarray(target_rows, dtype=np.int64)).to(place)

    def expected(cells: TokenizedCells) -> np.ndarray:
        outputs = run_over_cells(
            lambda batch: {"targets": _decode(model, batch, rows_T)},
            cells,
            model.tokenizer.vocabulary,
            batch_size,
            place,
        )
        return outputs["targets"].astype(np.float64)

    return expected


def _decode(model: PretrainedModel, batch: Batch, rows_T: Tensor) -> Tensor:
    """Decode the targets from the cell embedding, (B, T): expected bins, or log rates."""
    cell_BD = model.backbone.encode(batch.token_ids_BL, batch.bins_BL, batch.lengths_B)
    if model.molecule_decoder is not None:
        log_rates_BV: Tensor = model.molecule_decoder.rates(cell_BD).log_softmax(1)
        return log_rates_BV[:, rows_T]
    assert model.cell_expression_decoder is not None
    genes_1TD = model.backbone.gene_encoder(rows_T[None])
    value_BT: Tensor = model.cell_expression_decoder(cell_BD, genes_1TD).value
    return value_BT
