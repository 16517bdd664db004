"""The genes of the called types."""

import pandas as pd

from sc_mamba2.cells import keys, simulate_cells
from sc_mamba2.tasks.annotation.markers import type_markers
from sc_mamba2.tasks.shared.parameters import build_parameters
from sc_mamba2.tasks.shared.params import SHARED_GROUPS
from sc_mamba2.tl.shared import valid_cells

CELLS = simulate_cells(120, 100)
VALID = valid_cells(CELLS, build_parameters(SHARED_GROUPS, {})).valid


def calls(types, names=VALID.obs_names):
    return pd.DataFrame({keys.CELL_TYPE: list(types)}, index=names)


def test_they_are_higher_in_the_type_than_elsewhere():
    types = VALID.obs["cell_type"].astype(str)
    found = type_markers(VALID, calls(types))
    assert {t: cells for t, (cells, _) in found.items()} == types.value_counts().to_dict()
    symbols = VALID.var[keys.SYMBOL].astype(str).to_numpy()
    for name, (_, genes) in found.items():
        assert 0 < len(genes) <= 8
        own = (types == name).to_numpy()
        column = symbols.tolist().index(genes[0])
        assert VALID.X[own, column].mean() > VALID.X[~own, column].mean() + 0.3


def test_one_type_or_few_cells_have_none_and_a_part_of_the_cells_is_enough():
    assert type_markers(VALID, calls(["one"] * VALID.n_obs)) == {"one": (VALID.n_obs, [])}
    part = VALID.obs_names[::-1][:40]
    types = ["few"] * 3 + ["many"] * 37
    found = type_markers(VALID, calls(types, part))
    assert found["few"] == (3, []) and found["many"][0] == 37
