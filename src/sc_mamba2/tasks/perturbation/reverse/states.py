"""Source cells, target cells, and the change between them."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from anndata import AnnData

from sc_mamba2.cells import label_text, learn_names
from sc_mamba2.cells.labels import check_column
from sc_mamba2.errors import UserError, nearest
from sc_mamba2.methods.mean_changes import moments
from sc_mamba2.tasks.perturbation.params import KeyParams
from sc_mamba2.tasks.perturbation.reading import over_genes
from sc_mamba2.tasks.perturbation.reverse.params import StateParams
from sc_mamba2.tasks.perturbation.split import join_names

MIN_CELLS = 5


@dataclass(frozen=True, eq=False)
class Query:
    """The change from source to target: (G,) mean difference, its squared error, and the cells."""

    change_G: np.ndarray
    error_G: np.ndarray
    source: AnnData
    target: AnnData

    @property
    def symbols(self) -> np.ndarray:
        """Symbols of the genes, (G,), "" for genes that the file lacks."""
        return self.target.var["symbol"].to_numpy(str)


def read_query(
    valid_cells: AnnData, params: StateParams, genes: tuple[str, ...], keys: KeyParams
) -> Query:
    """Read source and target cells over the genes of a model; for `keys` see `read_states`.

    Raises
    ------
    UserError
        ``state-missing``, ``state-unknown``, ``state-same``, ``state-cells``, ``genes-not-shared``.
    """
    obs, key = valid_cells.obs, params.state_key
    check_column(obs, key, "state-missing", "--state-key")
    if params.target is None or params.target == params.source:
        raise UserError(
            "state-same",
            found=f"the states '{params.source}' and '{params.target}'",
            expected="two different states",
            mend="set --source and --target",
        )
    states, *named = read_states(obs, params, keys)
    source, target = (_cells_of(valid_cells, states, name, key) for name in named)
    return make_query(over_genes(source, genes), over_genes(target, genes))


def read_states(
    obs: pd.DataFrame, params: StateParams, keys: KeyParams
) -> tuple[pd.Series, str, str]:
    """Return the state of every cell, and the names of source and target.

    In the column that the model was trained with, and in any column that lacks the literal names, states are
    read as names of perturbations (by `keys`) if source and target can be; else they are taken literally.
    """
    states = label_text(obs[params.state_key]).astype(str)
    found = set(states)
    source, target = params.source, str(params.target)
    try:
        known = learn_names(found, keys.rules)
        meaning = {state: known.resolve(state) for state in found}
        requested = known.resolve(source), known.resolve(target)
    except UserError:  # a state need not be a perturbation: "CD4+"
        return states, source, target
    trained = params.state_key == keys.perturbation_key
    if set(requested) <= set(meaning.values()) and (trained or not {source, target} <= found):
        return states.map(meaning), *requested
    return states, source, target


def make_query(source: AnnData, target: AnnData) -> Query:
    """Measure the change between two sets of cells over the same genes."""
    (mean_G, variance_G), (goal_G, goal_variance_G) = moments(source.X), moments(target.X)
    error_G = variance_G / source.n_obs + goal_variance_G / target.n_obs
    return Query(goal_G - mean_G, error_G, source, target)


def _cells_of(cells: AnnData, states: pd.Series, name: str, key: str) -> AnnData:
    chosen = states.index[states == name]
    if not len(chosen):
        raise UserError(
            "state-unknown",
            found=f"no cells of the state '{name}' in obs['{key}']",
            expected=f"one of: {join_names(sorted(set(states)))}",
            mend="correct the name" + nearest(name, set(states)),
        )
    if len(chosen) < MIN_CELLS:
        raise UserError(
            "state-cells",
            found=f"{len(chosen)} cells of the state '{name}'",
            expected=f"at least {MIN_CELLS}",
            mend="add cells: the mean of so few is mostly noise",
        )
    return cells[chosen]
