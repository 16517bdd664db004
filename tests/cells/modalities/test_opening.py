import anndata as ad
import h5py
import mudata
import numpy as np
import pandas as pd
import pytest
from scipy import io, sparse

from sc_mamba2.cells import read_cells, standardise
from sc_mamba2.cells.modalities import read_modalities
from sc_mamba2.cells.modalities.kinds import modalities_of_features
from sc_mamba2.cells.simulate_pairs import simulate_rna_atac, simulate_rna_protein
from sc_mamba2.errors import UserError
from sc_mamba2.genes import load_gene_table


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
    pair["protein"].var_names = [f"target {at}" for at in range(pair["protein"].n_vars)]
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


WORDS = [
    ("Gene Expression", "Antibody Capture"),
    ("rna", "protein"),
    ("GEX", "ADT"),
    ("gene expression", "antibody capture"),
]


def joint(pair, gene="Gene Expression", protein="Antibody Capture"):
    both = ad.concat({"rna": pair["rna"], "protein": pair["protein"]}, axis=1, merge="first")
    both.obs = pair["rna"].obs
    both.var["feature_types"] = [gene] * 60 + [protein] * 10
    return both


def as_h5ad(both, folder):
    both.write_h5ad(folder / "cells.h5ad")
    return folder / "cells.h5ad"


def as_zarr(both, folder):
    both.write_zarr(folder / "cells.zarr")
    return folder / "cells.zarr"


def as_h5mu(both, folder):
    kinds = both.var["feature_types"]
    parts = {kind: both[:, kinds == kind].copy() for kind in kinds.unique()}
    mudata.MuData(parts).write_h5mu(folder / "cells.h5mu")
    return folder / "cells.h5mu"


def as_tenx_h5(both, folder):
    with h5py.File(folder / "cells.h5", "w") as file:
        matrix = file.create_group("matrix")
        matrix["shape"] = np.array(both.shape[::-1], "i4")
        for name in ("data", "indices", "indptr"):
            matrix[name] = getattr(sparse.csr_matrix(both.X), name).astype("i8")
        matrix["barcodes"] = np.array(list(both.obs_names), "S")
        features = matrix.create_group("features")
        features["id"] = features["name"] = np.array(list(both.var_names), "S")
        features["feature_type"] = np.array(list(both.var["feature_types"]), "S")
    return folder / "cells.h5"


def as_folder(both, folder):
    io.mmwrite(folder / "matrix.mtx", sparse.coo_matrix(both.X.T).astype("i4"))
    (folder / "barcodes.tsv").write_text("\n".join(both.obs_names))
    rows = zip(both.var_names, both.var["feature_types"], strict=True)
    (folder / "features.tsv").write_text(
        "\n".join(f"{name}\t{name}\t{kind}" for name, kind in rows)
    )
    return folder


WRITERS = [as_h5ad, as_zarr, as_h5mu, as_tenx_h5, as_folder]


@pytest.mark.parametrize(
    ("write", "words"),
    [  # every format by the first words, every word in the first format; slow: all with all
        pytest.param(
            write, words, marks=[pytest.mark.slow] * (write != as_h5ad and words != WORDS[0])
        )
        for write in WRITERS
        for words in WORDS
    ],
)
def test_a_joint_file_of_any_format_is_taken_apart(write, words, pair, tmp_path):
    path = write(joint(pair, *words), tmp_path)
    for sources in ([str(path)], [f"rna={path}", f"protein={path}"]):
        found = read_modalities(sources)
        assert list(found) == ["rna", "protein"]
        for kind, cells in found.items():
            assert list(cells.var_names) == list(pair[kind].var_names)
            assert (cells.X != pair[kind].X).nnz == 0
    genes, report = standardise(read_cells(path), load_gene_table())
    assert genes.n_vars == 60 and report["genes"]["total"] == 60


def test_a_joint_file_whose_antibodies_bear_tags_is_taken_apart(pair, tmp_path):
    both = joint(pair)
    del both.var["feature_types"]
    both.var_names = [*both.var_names[:60], *(both.var_names[60:] + "_TotalSeqB")]
    found = read_modalities([str(as_h5ad(both, tmp_path))])
    assert found["rna"].n_vars == 60 and found["protein"].n_vars == 10


def test_a_panel_with_some_tags_stays_whole(pair, tmp_path):
    panel = pair["protein"]
    panel.var_names = [*(panel.var_names[:8] + "_TotalSeqB"), *panel.var_names[8:]]
    panel.write_h5ad(tmp_path / "panel.h5ad")
    pair["rna"].write_h5ad(tmp_path / "rna.h5ad")
    for said in ("", "protein="):
        sources = [f"{said}{tmp_path / 'panel.h5ad'}", f"rna={tmp_path / 'rna.h5ad'}"]
        assert read_modalities(sources)["protein"].n_vars == 10


def test_tags_beside_antibodies_are_no_proteins(pair, tmp_path, caplog):
    panel = pair["protein"]
    panel.var_names = [
        "CD3",
        "CD4",
        "CD8a",
        "CD14",
        "CD16",
        "CD19",
        "CD56",
        "CD45RA",
        "HTO1",
        "HTO2",
    ]
    panel.write_h5ad(tmp_path / "panel.h5ad")
    pair["rna"].write_h5ad(tmp_path / "rna.h5ad")
    found = read_modalities([str(tmp_path / "rna.h5ad"), str(tmp_path / "panel.h5ad")])
    assert list(found["protein"].var_names) == list(panel.var_names[:8])
    assert "2 features that are not protein are left out" in caplog.text


def test_genes_beside_peaks_of_which_nothing_is_said_are_genes(tmp_path):
    pair = simulate_rna_atac(30, 60, 100, 20, 20)
    both = ad.concat([pair["rna"], pair["atac"]], axis="var")
    both.var = both.var[[]]
    both.write_h5ad(tmp_path / "both.h5ad")
    found = read_modalities([str(tmp_path / "both.h5ad")])
    assert found["rna"].n_vars == 60 and found["atac"].n_vars == 100


def test_a_file_that_holds_another_modality_than_is_said_is_refused(pair, tmp_path):
    both = joint(pair)
    both[:, :60].copy().write_h5ad(tmp_path / "a.h5ad")
    both[:, 60:].copy().write_h5ad(tmp_path / "b.h5ad")
    message = refused(
        "modality-other", f"rna={tmp_path / 'a.h5ad'}", f"protein={tmp_path / 'a.h5ad'}"
    )
    assert "rna=FILE" in message
    refused("modality-other", f"rna={tmp_path / 'b.h5ad'}", f"protein={tmp_path / 'b.h5ad'}")
    assert list(read_modalities([str(tmp_path / "a.h5ad"), str(tmp_path / "b.h5ad")])) == [
        "rna",
        "protein",
    ]


@pytest.mark.parametrize("study", ["malt_cite", "pbmc_cite_5k10k", "bmmc_cite"])
def test_proteins_of_real_studies_beside_their_rna(shared_data, study, tmp_path):
    sources = []
    for kind, name in (("rna", "first"), ("protein", "second")):  # names of files that say nothing
        cells = ad.read_h5ad(shared_data / f"{study}_{kind}.h5ad")[:20].copy()
        sources.append(str(tmp_path / f"{name}.h5ad"))
        cells.write_h5ad(sources[-1])
    assert list(read_modalities(sources)) == ["rna", "protein"]


def test_a_panel_of_antigens_is_what_its_file_is_called_else_proteins():
    var = pd.DataFrame(index=["CD3", "CD4", "CD8a", "CD14", "CD19", "CD56", "IgG1"])
    kinds = [list(modalities_of_features(var, name)) for name in ("x", "ADT", "targeted_rna")]
    assert kinds == [["protein"], ["protein"], ["rna"]]
