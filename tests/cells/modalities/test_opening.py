import anndata as ad
import mudata
import numpy as np
import pandas as pd
import pytest

from sc_mamba2.cells.modalities import read_modalities
from sc_mamba2.cells.simulate_pairs import simulate_rna_atac, simulate_rna_protein
from sc_mamba2.errors import UserError


@pytest.fixture
def pair():
    return simulate_rna_protein(30, 60)


def refused(rule: str, *sources: object) -> str:
    with pytest.raises(UserError) as caught:
        read_modalities([str(source) for source in sources])
    assert caught.value.rule == rule
    return str(caught.value)


def test_a_file_a_modality_told_by_ids_and_by_the_name_of_the_file(pair, tmp_path):
    pair["rna"].write_h5ad(tmp_path / "a.h5ad")
    pair["protein"].write_h5ad(tmp_path / "my_adt.h5ad")
    found = read_modalities([str(tmp_path / "my_adt.h5ad"), str(tmp_path / "a.h5ad")])
    assert list(found) == ["rna", "protein"]
    assert (found["protein"].X != pair["protein"].X).nnz == 0


def test_what_a_person_says_counts(pair, tmp_path):
    pair["rna"].write_h5ad(tmp_path / "a.h5ad")
    pair["protein"].write_h5ad(tmp_path / "b.h5ad")
    assert "protein=FILE" in refused("modality-unknown", tmp_path / "a.h5ad", tmp_path / "b.h5ad")
    found = read_modalities([f"rna={tmp_path / 'a.h5ad'}", f"protein={tmp_path / 'b.h5ad'}"])
    assert list(found) == ["rna", "protein"]
    assert "did you mean 'protein'" in refused("modality-unknown", f"protien={tmp_path / 'b.h5ad'}")


def test_one_table_of_both_is_taken_apart_by_its_feature_types(tmp_path):
    pair = simulate_rna_atac(20, 30, 40, 15, 15)
    both = ad.concat(pair, axis=1, merge="first")
    both.obs = pair["rna"].obs
    both.var["feature_types"] = ["Gene Expression"] * 30 + ["Peaks"] * 40
    both.write_h5ad(tmp_path / "both.h5ad")
    found = read_modalities([str(tmp_path / "both.h5ad")])
    assert found["rna"].n_vars == 30 and found["atac"].n_vars == 40
    assert (found["atac"].X != pair["atac"].X).nnz == 0


def test_a_mudata_file_gives_its_modalities_with_the_joint_columns(pair, tmp_path):
    together = mudata.MuData(
        {"gex": pair["rna"], "prot": pair["protein"], "other": pair["rna"][:, :3]}
    )
    together.obs["donor"] = np.arange(30)
    together.write_h5mu(tmp_path / "cells.h5mu")
    found = read_modalities([str(tmp_path / "cells.h5mu")])
    assert list(found) == ["rna", "protein"]
    assert list(found["protein"].obs["donor"]) == list(range(30))
    assert found["rna"].obs["cell_type"].equals(pair["rna"].obs["cell_type"])


def test_what_is_not_enough_is_refused(pair, tmp_path):
    pair["rna"].write_h5ad(tmp_path / "rna.h5ad")
    pair["protein"].write_h5ad(tmp_path / "protein.h5ad")
    refused("modality-one", tmp_path / "rna.h5ad")
    refused("modality-missing", tmp_path / "protein.h5ad")
    refused("modality-duplicate", tmp_path / "rna.h5ad", tmp_path / "rna.h5ad")
    refused("file-missing", tmp_path / "rna.h5ad", tmp_path / "nothing.h5ad")
    refused("source-unknown", "simulated:rna-prtein")
    strange = mudata.MuData({"x": ad.AnnData(np.ones((3, 2)), var=pd.DataFrame(index=["p", "q"]))})
    strange.write_h5mu(tmp_path / "strange.h5mu")
    refused("modality-unknown", tmp_path / "strange.h5mu")
