import numpy as np
import pandas as pd
import pytest

from sc_mamba2.errors import UserError
from sc_mamba2.tasks.multiomics.cells import make_design, scored_cells
from sc_mamba2.tasks.multiomics.params import KeyParams

NAMES = pd.Index([f"c{n}" for n in range(200)])
OBS = pd.DataFrame(
    {"donor": ["a", "b"] * 100, "split": ["test"] * 60 + ["train"] * 140}, index=NAMES
)
PRESENT = pd.DataFrame({"rna": True, "protein": np.arange(200) % 4 > 0}, index=NAMES)


def test_parts_are_disjoint_and_spread_over_batches_and_modalities():
    design = make_design(OBS, PRESENT, KeyParams(batch_key="donor", held_out_share=0.2), 0)
    shares = design.groupby(["batch", "has_protein"])["part"].value_counts(normalize=True).unstack()
    assert shares["held_out"].between(0.15, 0.25).all()
    assert shares["validation"].between(0.04, 0.12).all()
    again = make_design(OBS, PRESENT, KeyParams(batch_key="donor", held_out_share=0.2), 0)
    assert design.equals(again)
    assert not design.equals(make_design(OBS, PRESENT, KeyParams(batch_key="donor"), 1))


def test_cells_are_held_out_by_a_column():
    keys = KeyParams(held_out_key="split", held_out_value="test")
    design = make_design(OBS, PRESENT, keys, 0)
    assert ((design["part"] == "held_out") == (OBS["split"] == "test")).all()
    assert set(design["batch"]) == {"all"}
    assert scored_cells(design).sum() == 60


def test_where_few_are_held_out_the_validation_cells_are_scored_too():
    design = make_design(OBS, PRESENT, KeyParams(held_out_share=0.0), 0)
    assert (scored_cells(design) == (design["part"] == "validation")).all()


@pytest.mark.parametrize(
    ("keys", "rule"),
    [
        ({"held_out_key": "splt"}, "held-out-missing"),
        ({"held_out_key": "split", "held_out_value": "tset"}, "held-out-empty"),
        ({"batch_key": "donr"}, "batch-missing"),
    ],
)
def test_what_cannot_be_laid_out_is_refused(keys, rule):
    with pytest.raises(UserError) as caught:
        make_design(OBS, PRESENT, KeyParams(**keys), 0)
    assert caught.value.rule == rule


def test_too_few_cells_are_refused():
    with pytest.raises(UserError) as caught:
        make_design(OBS.iloc[:30], PRESENT.iloc[:30], KeyParams(held_out_share=0.5), 0)
    assert caught.value.rule == "cells-few"
