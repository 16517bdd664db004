"""Mouse cells from the file to the output: read as human genes, written with the mouse's names."""

import anndata as ad
import numpy as np
import pytest
from tests.cli import entered, refused

from sc_mamba2 import pp, tl
from sc_mamba2.cells import keys, simulate_cells
from sc_mamba2.errors import UserError
from sc_mamba2.genes import MOUSE, load_gene_table, map_genes
from sc_mamba2.tasks.shared.parameters import check_species


def as_mouse(cells: ad.AnnData) -> ad.AnnData:
    """Call the genes as the mouse does; those without a partner as none."""
    rows = map_genes(list(cells.var_names), load_gene_table()).rows
    symbol = {row: name for name, row in load_gene_table(MOUSE).row_of_symbol.items()}
    mouse = ad.AnnData(cells.X, obs=cells.obs.copy())
    mouse.var_names = [symbol.get(row, f"Gm{at + 90_000}") for at, row in enumerate(rows)]
    mouse.obs_names = cells.obs_names
    return mouse


HUMAN = simulate_cells(160, 150)
CELLS = as_mouse(HUMAN)


@pytest.fixture
def files(tmp_path):
    paths = tmp_path / "reference.h5ad", tmp_path / "query.h5ad"
    for path, cells in zip(paths, (CELLS[:100], CELLS[100:]), strict=True):
        cells.copy().write_h5ad(path)
    return paths


@pytest.mark.slow
def test_a_verb_reads_mouse_cells_and_writes_their_names(files, tmp_path):
    reference, query = files
    output = tmp_path / "out.h5ad"
    names = ["--label-key", "cell_type", "--output", output, "--species", "mouse"]
    entered("annotate", query, "--reference", reference, *names)
    called = ad.read_h5ad(output)
    assert list(called.var_names) == list(CELLS.var_names)
    right = called.obs[keys.CELL_TYPE].astype(str) == called.obs["cell_type"].astype(str)
    assert right.mean() > 0.9


def test_without_the_word_they_are_refused_with_the_way_on(files, tmp_path):
    words = "embed", files[1], "--output", tmp_path / "out.h5ad"
    assert "--species mouse" in refused(*words, folder=tmp_path)


def test_tools_give_what_the_same_human_cells_give():
    human, mouse = HUMAN.copy(), CELLS.copy()
    known = map_genes(list(mouse.var_names), load_gene_table(MOUSE)).rows >= 0
    assert 50 < known.sum() <= len(known)
    tl.embed(human := human[:, known].copy())
    tl.embed(mouse := mouse[:, known].copy(), species="mouse")
    np.testing.assert_array_equal(human.obsm[keys.EMBEDDING], mouse.obsm[keys.EMBEDDING])


def test_genes_are_named_as_the_mouse_does():
    mouse = CELLS.copy()
    named = [name for name in mouse.var_names if not name.startswith("Gm")][:2]
    tl.denoise(mouse, genes=named, species="mouse")
    assert list(mouse.obsm[keys.DENOISED].columns) == named
    few = {"gene_network.genes.targets": 5, "gene_network.scoring.cells_a_regulator": 3}
    tl.network(mouse, genes=named[:1], species="mouse", params=few)
    first = map_genes(named[:1], load_gene_table(MOUSE)).ensembl_ids
    assert set(mouse.uns[keys.EDGES]["source_id"]) == set(first)


def test_a_mixture_is_refused_with_its_shares():
    part = HUMAN[:40].copy()
    part.var = part.var[[]]
    mixed = ad.concat([CELLS[:120], part], join="outer", fill_value=0)
    mixed.obs_names_make_unique()
    with pytest.raises(UserError, match=r"120 of 160 cells \(75%\)"):
        tl.embed(mixed.copy())
    with pytest.raises(UserError, match=r"40 of 160 cells \(25%\)"):
        tl.embed(mixed.copy(), species="mouse")


@pytest.mark.parametrize("task", ["perturbation", "multiomics"])
def test_tasks_that_read_other_human_names_refuse_it(task, files, tmp_path):
    words = "run", "--pipeline", task, "--params", "ingestion.species=mouse"
    refused(*words, "--input", files[0], rule="species-task", folder=tmp_path)
    with pytest.raises(UserError, match="species-task"):
        check_species([task], "mouse")


def test_a_report_of_what_would_be_read_counts_the_partners():
    report = pp.validate(CELLS, species="mouse")
    assert report["genes"]["matched"] + report["genes"]["no_partner"] <= report["genes"]["total"]
    assert "genes-partners" in {remark["rule"] for remark in report["remarks"]}
