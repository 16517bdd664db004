"""Probe of `choose`: fit every prior once and predict one block of cells; count the rest."""

from time import perf_counter

import numpy as np
from scipy import sparse

from sc_mamba2.methods.molecules import choose_numbers
from sc_mamba2.tasks.denoising.choose import hold_out, split_phis
from sc_mamba2.tasks.denoising.params import OutputParams, PriorParams, SplitParams
from sc_mamba2.tasks.denoising.priors import candidates
from sc_mamba2.tasks.shared.work import Work
from sc_mamba2.training import ComputeOptions, choose_device
from sc_mamba2.training.machine import peak_bytes

FITS = 3  # to the inner split, the outer split, and all counts


def probe_denoising(
    counts_NG: sparse.csr_matrix,
    genes_G: np.ndarray,
    split: SplitParams,
    priors: PriorParams,
    output: OutputParams,
    compute: ComputeOptions,
) -> Work:
    """Time the fits and one set of hyperparameters, and extrapolate to all sets, blocks and cells."""
    _, inner = hold_out(counts_NG, split, compute.seed)
    size = output.cells_a_block
    few, steps, fitting, predicting = inner.rows_M[:size], 0, 0.0, 0.0
    blocks = -(-len(inner.rows_M) // size)
    for name, one in candidates(priors).items():
        started = perf_counter()
        prior = one.fit(inner.kept_NG, genes_G, compute)
        fitted = perf_counter()
        choose_numbers(name, prior, one.grid[:1], split_phis(one.phis)[0], *inner[:2], few, size)
        fitting += FITS * (fitted - started)
        predicting += (perf_counter() - fitted) * len(one.grid) * blocks
        steps += len(one.grid) * blocks
    seconds = predicting * (1 + counts_NG.shape[0] / (steps * size)) + fitting
    return Work(
        name="denoising",
        steps=steps,
        step=f"{size:,} cells by one set of numbers",
        probed=1,
        seconds_a_step=predicting / steps,
        seconds=seconds,
        tokens={},
        parameters=0,
        peak_bytes=peak_bytes(choose_device("cpu")),
    )
