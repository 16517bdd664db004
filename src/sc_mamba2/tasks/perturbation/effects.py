"""What perturbations do, measured: mean change of every gene within its context, and its error.

Legend: N cells, G genes, C contexts, Q effects (one a perturbation and context).
"""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from sc_mamba2.tasks.perturbation.split import CONTEXT, PERTURBATION

CELLS = "cells"
_FEWEST = 2  # one cell has no spread


@dataclass(frozen=True, eq=False)
class Effects:
    """Measured effects.

    Attributes
    ----------
    rows
        Q rows: ``perturbation``, ``context``, ``cells``.
    delta_QG
        Mean of the perturbed cells less that of the context's control cells.
    error_QG
        Squared standard error of `delta_QG`.
    spread_QG
        Standard deviation among the perturbed cells.
    contexts
        C names of contexts that have control cells.
    control_CG, control_spread_CG
        Mean and standard deviation of their control cells.
    genes
        G Ensembl ids.
    """

    rows: pd.DataFrame
    delta_QG: np.ndarray
    error_QG: np.ndarray
    spread_QG: np.ndarray
    contexts: tuple[str, ...]
    control_CG: np.ndarray
    control_spread_CG: np.ndarray
    genes: tuple[str, ...]

    @property
    def reliability_Q(self) -> np.ndarray:
        """Reliability of every effect, see `reliability`."""
        return reliability(self.delta_QG, self.error_QG)

    def take(self, rows: np.ndarray) -> "Effects":
        """Return some of the effects, by places or a mask."""
        places = np.arange(len(self.rows))[rows]
        return replace(
            self,
            rows=self.rows.iloc[places].reset_index(drop=True),
            delta_QG=self.delta_QG[places],
            error_QG=self.error_QG[places],
            spread_QG=self.spread_QG[places],
        )

    def control_of(self, context: str, own_G: np.ndarray | None = None) -> np.ndarray:
        """Return the control mean of a context, (G,); where it has none `own_G`, else that of all."""
        if context in self.contexts:
            mean_G: np.ndarray = self.control_CG[self.contexts.index(context)]
            return mean_G
        if own_G is not None:
            return own_G
        return np.asarray(self.control_CG.mean(axis=0))

    def control_spread_of(self, context: str) -> np.ndarray:
        """Return the standard deviation of a context's control cells, (G,); their mean elsewhere."""
        if context in self.contexts:
            spread_G: np.ndarray = self.control_spread_CG[self.contexts.index(context)]
            return spread_G
        return np.asarray(self.control_spread_CG.mean(axis=0))


def measure_effects(perturbed: AnnData, controls: AnnData) -> Effects:
    """Measure the effects of cells.

    Parameters
    ----------
    perturbed, controls
        Cells in the standard form, with ``obs["perturbation"]`` and ``obs["context"]``. A context
        without two control cells is compared with all control cells.

    Returns
    -------
    Effects
        In the order of perturbation, then context; a group of one cell is left out.
    """
    sizes = controls.obs[CONTEXT].value_counts()
    contexts = tuple(sorted(str(name) for name, size in sizes.items() if size >= _FEWEST))
    of_context = {name: moments(controls.X[_rows(controls, name)]) for name in contexts}
    everywhere = moments(controls.X)
    found, rows = [], []
    groups = perturbed.obs.groupby([PERTURBATION, CONTEXT], observed=True).indices
    for (name, context), members in sorted(groups.items()):
        if len(members) < _FEWEST:
            continue
        mean_G, variance_G = moments(perturbed.X[members])
        base_G, base_variance_G = of_context.get(str(context), everywhere)
        cells = sizes[context] if context in contexts else controls.n_obs
        error_G = variance_G / len(members) + base_variance_G / cells
        found.append((mean_G - base_G, error_G, np.sqrt(variance_G)))
        rows.append((str(name), str(context), len(members)))
    shape = (0, perturbed.n_vars)
    stacked = [np.stack(part) for part in zip(*found, strict=True)]
    delta_QG, error_QG, spread_QG = stacked or [np.zeros(shape)] * 3
    kept = [of_context[name] for name in contexts] or [everywhere]
    return Effects(
        rows=pd.DataFrame(rows, columns=[PERTURBATION, CONTEXT, CELLS]),
        delta_QG=delta_QG,
        error_QG=error_QG,
        spread_QG=spread_QG,
        contexts=contexts or ("",),
        control_CG=np.stack([mean for mean, _ in kept]),
        control_spread_CG=np.sqrt(np.stack([variance for _, variance in kept])),
        genes=tuple(map(str, perturbed.var_names)),
    )


def reliability(delta_QG: np.ndarray, error_QG: np.ndarray) -> np.ndarray:
    """Return the share of effects' sizes that is not the chance of sampling, (Q,), 0 to 1.

    ``max(0, |delta|^2 - sum of squared errors) / |delta|^2``: the factor by which a measured effect is
    shrunk to be nearest to the true one on average (James and Stein, positive part).
    """
    size_Q = (delta_QG**2).sum(axis=1)
    real_Q = np.maximum(size_Q - error_QG.sum(axis=1), 0)
    return np.divide(real_Q, size_Q, out=np.zeros_like(size_Q), where=size_Q > 0)


def moments(matrix: sparse.csr_matrix) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and unbiased variance of the columns, (G,) each, float64; never dense."""
    cells = matrix.shape[0]
    doubled = matrix.astype(np.float64)
    mean_G = np.asarray(doubled.mean(axis=0)).ravel()
    square_G = np.asarray(doubled.multiply(doubled).mean(axis=0)).ravel()
    variance_G = np.maximum(square_G - mean_G**2, 0) * cells / max(1, cells - 1)
    return mean_G, variance_G


def _rows(cells: AnnData, context: str) -> np.ndarray:
    return np.flatnonzero((cells.obs[CONTEXT].astype(str) == context).to_numpy())
