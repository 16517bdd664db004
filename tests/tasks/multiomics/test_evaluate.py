"""Scores that need no labels."""

import numpy as np
import pandas as pd
import pytest

from sc_mamba2.tasks.multiomics.cells import HELD_OUT, PART, TRAINING
from sc_mamba2.tasks.multiomics.evaluate import neighbours_kept


def test_neighbours_kept_are_all_those_of_the_same_and_few_of_another():
    generator = np.random.default_rng(0)
    own, other = generator.normal(size=(300, 4)), generator.normal(size=(300, 4))
    design = pd.DataFrame({PART: HELD_OUT, "has_rna": True, "has_protein": True}, range(300))
    alone = {"rna": own, "protein": other}
    scores = neighbours_kept(own * 3, alone, design, 0)
    assert scores["kept_rna"] == 1 and scores["kept_protein"] == pytest.approx(14 / 299, abs=0.02)
    both = neighbours_kept(np.hstack([own, other]), alone, design, 0)
    assert min(both.values()) > 0.1
    design.loc[12:, PART] = TRAINING  # too few are scored; those of validation count with them
    assert neighbours_kept(own, alone, design, 0) == {}
