import numpy as np
import pytest

from sc_mamba2.cells.modalities import pair_cells
from sc_mamba2.cells.simulate_pairs import simulate_rna_protein
from sc_mamba2.errors import UserError


@pytest.fixture
def pair():
    return simulate_rna_protein(40, 60)


def test_cells_are_joined_by_name_whatever_their_order(pair):
    order = np.random.default_rng(0).permutation(40)
    shuffled = {"rna": pair["rna"], "protein": pair["protein"][order].copy()}
    found, straight = pair_cells(shuffled), pair_cells(pair)
    assert found.present.equals(straight.present) and found.obs.equals(straight.obs)
    assert [remark["rule"] for remark in found.remarks] == ["cells-order"]
    assert straight.remarks == []


def test_cells_that_are_called_by_numbers_are_paired_with_a_remark(pair):
    for cells in pair.values():
        cells.obs_names = list(map(str, range(40)))
    assert [remark["rule"] for remark in pair_cells(pair).remarks] == ["cells-numbered"]


def test_cells_that_lack_a_modality_stay_with_what_they_have(pair):
    pair["protein"].obs["gate"] = "B"
    parts = {"rna": pair["rna"][:30].copy(), "protein": pair["protein"][12:].copy()}
    found = pair_cells(parts)
    assert len(found.present) == 40 and list(found.present.sum()) == [30, 28]
    assert list(found.present.index[:30]) == list(pair["rna"].obs_names[:30])
    assert found.obs["gate"].isna().sum() == 12 and found.obs["cell_type"].isna().sum() == 10
    assert {remark["rule"] for remark in found.remarks} == {"cells-unpaired"}


def test_disjoint_cells_are_refused_with_a_hint_at_their_barcodes(pair):
    names = ["ACGTACGTAC" + "ACGT"[n % 4] + "ACGT"[n // 4 % 4] + "ACGT"[n // 16] for n in range(40)]
    pair["rna"].obs_names = [f"{name}-1" for name in names]
    pair["protein"].obs_names = [f"s1_{name}" for name in names]
    with pytest.raises(UserError, match="prefix and suffix") as caught:
        pair_cells(pair)
    assert caught.value.rule == "cells-disjoint"
    pair["protein"].obs_names = [f"other_{n}" for n in range(40)]
    with pytest.raises(UserError, match="0 cells shared by rna and protein"):
        pair_cells(pair)


def test_names_that_stand_twice_are_refused(pair):
    twice = pair["protein"].copy()
    twice.var_names = ["CD3", *twice.var_names[1:-1], "CD3"]
    with pytest.raises(UserError, match="CD3") as caught:
        pair_cells({"rna": pair["rna"], "protein": twice})
    assert caught.value.rule == "features-duplicate"
    pair["protein"].obs_names = ["same"] * 40
    with pytest.raises(UserError) as caught:
        pair_cells(pair)
    assert caught.value.rule == "cells-names"
