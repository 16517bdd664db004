"""Measured effects of perturbations: mean change of every gene within a context, and its error.

Legend: N cells, G genes, C contexts, Q effects (one a perturbation and context).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData

from sc_mamba2.methods.mean_changes import moments, reliability
from sc_mamba2.tasks.perturbation.split import CONTEXT, PERTURBATION, WHOLE

CELLS = "cells"
_MIN_CELLS = 2  # one cell has no spread


@dataclass(frozen=True, eq=False)
class Effects:
    """Measured effects.

    Attributes
    ----------
    rows
        Q rows: ``perturbation``, ``context``, ``cells``.
    delta_QG
        Mean of the perturbed cells minus that of the context's control cells.
    error_QG
        Squared standard error of `delta_QG`.
    spread_QG
        Standard deviation among the perturbed cells.
    contexts
        C names of contexts with control cells.
    control_CG, control_spread_CG
        Mean and standard deviation of their control cells.
    genes
        G Ensembl ids.
    whole
        Names that contain a "+" but are no combination; see `parts_of`.
    """

    rows: pd.DataFrame
    delta_QG: np.ndarray
    error_QG: np.ndarray
    spread_QG: np.ndarray
    contexts: tuple[str, ...]
    control_CG: np.ndarray
    control_spread_CG: np.ndarray
    genes: tuple[str, ...]
    whole: frozenset[str] = frozenset()

    @property
    def reliability_Q(self) -> np.ndarray:
        """Reliability of every effect, (Q,); see `methods.mean_changes.reliability`."""
        return reliability(self.delta_QG, self.error_QG)

    def control_of(self, context: str, own_G: np.ndarray | None = None) -> np.ndarray:
        """Return a context's control mean, (G,); if it has none, `own_G` or the mean over contexts."""
        if own_G is not None and context not in self.contexts:
            return own_G
        return self._of(self.control_CG, context)

    def control_spread_of(self, context: str) -> np.ndarray:
        """Return the standard deviation of a context's control cells, (G,), or the mean over contexts."""
        return self._of(self.control_spread_CG, context)

    def _of(self, table_CG: np.ndarray, context: str) -> np.ndarray:
        if context in self.contexts:
            return np.asarray(table_CG[self.contexts.index(context)])
        return np.asarray(table_CG.mean(axis=0))


def pairs_of(rows: pd.DataFrame) -> list[tuple[str, str]]:
    """Return (perturbation, context) of every row."""
    return list(zip(rows[PERTURBATION], rows[CONTEXT], strict=True))


def sides_of(cells: AnnData, control: str) -> tuple[AnnData, AnnData]:
    """Return the perturbed cells and the control cells."""
    unperturbed = (cells.obs[PERTURBATION].astype(str) == control).to_numpy()
    return cells[~unperturbed].copy(), cells[unperturbed].copy()


def groups_of(obs: pd.DataFrame) -> dict[tuple[str, str], np.ndarray]:
    """Return the positions of each effect's cells; groups of one cell are left out."""
    groups: Any = obs.groupby([PERTURBATION, CONTEXT], observed=True).indices
    return {
        (str(name), str(context)): members
        for (name, context), members in sorted(groups.items())
        if len(members) >= _MIN_CELLS
    }


def effect_rows(groups: dict[tuple[str, str], np.ndarray]) -> pd.DataFrame:
    """Return a table of effects: ``perturbation``, ``context``, ``cells``."""
    rows = [(*pair, len(members)) for pair, members in groups.items()]
    return pd.DataFrame(rows, columns=[PERTURBATION, CONTEXT, CELLS])


def measure_effects(perturbed: AnnData, controls: AnnData) -> Effects:
    """Measure the effects of cells.

    Parameters
    ----------
    perturbed, controls
        Cells in the standard form, with ``obs["perturbation"]`` and ``obs["context"]``. Contexts with
        fewer than two control cells are compared with all control cells.

    Returns
    -------
    Effects
        Sorted by perturbation, then context; groups of one cell are left out.
    """
    names = controls.obs[CONTEXT].astype(str).to_numpy()
    sizes = controls.obs[CONTEXT].value_counts()
    contexts = tuple(sorted(str(name) for name, size in sizes.items() if size >= _MIN_CELLS))
    of_context = {name: moments(controls.X[np.flatnonzero(names == name)]) for name in contexts}
    everywhere = moments(controls.X)
    groups = groups_of(perturbed.obs)
    found = []
    for (_, context), members in groups.items():
        mean_G, variance_G = moments(perturbed.X[members])
        base_G, base_variance_G = of_context.get(context, everywhere)
        cells = sizes[context] if context in contexts else controls.n_obs
        error_G = variance_G / len(members) + base_variance_G / cells
        found.append((mean_G - base_G, error_G, np.sqrt(variance_G)))
    stacked = [np.stack(part) for part in zip(*found, strict=True)]
    delta_QG, error_QG, spread_QG = stacked or [np.zeros((0, perturbed.n_vars))] * 3
    kept = [of_context[name] for name in contexts] or [everywhere]
    return Effects(
        rows=effect_rows(groups),
        delta_QG=delta_QG,
        error_QG=error_QG,
        spread_QG=spread_QG,
        contexts=contexts or ("",),
        control_CG=np.stack([mean for mean, _ in kept]),
        control_spread_CG=np.sqrt(np.stack([variance for _, variance in kept])),
        genes=tuple(map(str, perturbed.var_names)),
        whole=frozenset(map(str, perturbed.uns.get(WHOLE, ()))),
    )
