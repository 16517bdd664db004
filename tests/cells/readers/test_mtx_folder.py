"""Folders as quantifiers write them: read rightly by their header, or refused with a mend that works."""

import gzip
import logging
import shutil

import numpy as np
import pytest
from scipy import io, sparse

from sc_mamba2.cells import read_cells, simulate_cells
from sc_mamba2.cells.corpus import list_sources
from sc_mamba2.errors import UserError

CELLS = simulate_cells(12, 9)


def lines(path, names):
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "wt") as file:
        file.writelines(f"{name}\n" for name in names)


def matrix(path, counts):
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "wb") as file:
        io.mmwrite(file, sparse.coo_matrix(counts).astype(np.int32))


def kb(folder, cells, end=""):
    matrix(folder / f"cells_x_genes.mtx{end}", cells.X)
    lines(folder / f"cells_x_genes.barcodes.txt{end}", cells.obs_names)
    lines(folder / f"cells_x_genes.genes.txt{end}", cells.var_names + ".3")
    lines(folder / f"cells_x_genes.genes.names.txt{end}", cells.var["symbol"])


def kb_gz(folder, cells):
    kb(folder, cells, ".gz")


def alevin_fry(folder, cells):
    matrix(folder / "quants_mat.mtx", cells.X)
    lines(folder / "quants_mat_rows.txt", cells.obs_names)
    lines(folder / "quants_mat_cols.txt", cells.var_names)


def parse(folder, cells, name="count_matrix.mtx"):
    matrix(folder / name, cells.X)
    lines(folder / "cell_metadata.csv", ["bc_wells,sample", *(f"{n},s1" for n in cells.obs_names)])
    rows = zip(cells.var_names, cells.var["symbol"], strict=True)
    lines(
        folder / "all_genes.csv", ["gene_id,gene_name,genome", *(f"{i},{s},hg38" for i, s in rows)]
    )


def parse_dge(folder, cells):
    parse(folder, cells, "DGE.mtx")


def tables(folder, cells):
    lines(folder / "barcodes.tsv", cells.obs_names)
    rows = zip(cells.var_names, cells.var["symbol"], strict=True)
    lines(folder / "features.tsv", [f"{i}\t{s}\tGene Expression" for i, s in rows])


def starsolo_em_beside(folder, cells):
    matrix(folder / "matrix.mtx", cells.X.T)
    matrix(folder / "UniqueAndMult-EM.mtx", cells.X.T * 3)
    tables(folder, cells)


def starsolo_em_alone(folder, cells):
    matrix(folder / "UniqueAndMult-EM.mtx", cells.X.T)
    tables(folder, cells)


def by_hand_on_its_side(folder, cells):
    matrix(folder / "matrix.mtx", cells.X)
    tables(folder, cells)


WRITERS = {
    writer.__name__: writer
    for writer in (
        *(kb, kb_gz, alevin_fry, parse, parse_dge),
        *(starsolo_em_beside, starsolo_em_alone, by_hand_on_its_side),
    )
}


@pytest.mark.parametrize("who", WRITERS)
def test_folders_of_every_quantifier(who, tmp_path):
    WRITERS[who](tmp_path, CELLS)
    found = read_cells(tmp_path)
    assert np.array_equal(found.X.toarray(), CELLS.X.toarray())
    assert list(found.obs_names) == list(CELLS.obs_names)
    ids = found.var.get("gene_ids", found.var_names.to_series())
    assert [name.split(".")[0] for name in ids] == list(CELLS.var_names)
    assert list_sources(tmp_path) == [str(tmp_path)]


@pytest.mark.parametrize("who", ["kb", "alevin_fry", "parse"])
def test_a_square_matrix_of_a_quantifier_lies_as_its_others(who, tmp_path):
    square = simulate_cells(9, 9)
    WRITERS[who](tmp_path, square)
    assert np.array_equal(read_cells(tmp_path).X.toarray(), square.X.toarray())


@pytest.mark.parametrize("upright", [True, False])
def test_a_square_matrix_is_told_by_how_much_its_totals_vary(upright, tmp_path, caplog):
    generator = np.random.default_rng(0)
    square = simulate_cells(60, 60)
    square.X = sparse.csr_matrix(generator.poisson(generator.gamma(0.5, 4, 60), (60, 60)) * 1.0)
    matrix(tmp_path / "matrix.mtx", square.X if upright else square.X.T)
    tables(tmp_path, square)
    with caplog.at_level(logging.WARNING):
        assert np.array_equal(read_cells(tmp_path).X.toarray(), square.X.toarray())
    assert "square" in caplog.text and ("cells" if upright else "genes") in caplog.text


def test_a_square_matrix_that_tells_nothing_is_refused_until_the_files_say_it(tmp_path):
    square = simulate_cells(30, 30)
    square.X = sparse.csr_matrix(np.random.default_rng(0).poisson(2, (30, 30)) * 1.0)
    matrix(tmp_path / "matrix.mtx", square.X)
    tables(tmp_path, square)
    with pytest.raises(UserError) as caught:
        read_cells(tmp_path)
    assert caught.value.rule == "folder-square"
    names = ("cells_x_genes.mtx", "cells_x_genes.barcodes.txt", "cells_x_genes.genes.txt")
    assert all(name in caught.value.mend for name in names)
    for old, new in zip(("matrix.mtx", "barcodes.tsv", "features.tsv"), names, strict=True):
        (tmp_path / old).rename(tmp_path / new)
    assert np.array_equal(read_cells(tmp_path).X.toarray(), square.X.toarray())


@pytest.mark.parametrize(
    ("writer", "names"),
    [
        (tables, ["spliced.mtx", "unspliced.mtx", "ambiguous.mtx"]),
        (tables, ["UniqueAndMult-EM.mtx", "UniqueAndMult-Uniform.mtx"]),
        (kb, ["cells_x_genes.mature.mtx", "cells_x_genes.nascent.mtx"]),
    ],
)
def test_several_matrices_are_refused_until_one_stands_alone(writer, names, tmp_path):
    folder = tmp_path / "many"
    folder.mkdir()
    writer(folder, CELLS)
    (folder / "cells_x_genes.mtx").unlink(missing_ok=True)
    for name in names:
        matrix(folder / name, CELLS.X if "cells_x" in name else CELLS.X.T)
    with pytest.raises(UserError) as caught:
        read_cells(folder)
    assert caught.value.rule == "folder-ambiguous" and "its own folder" in caught.value.mend
    alone = tmp_path / "alone"
    shutil.copytree(folder, alone)
    for name in names[1:]:
        (alone / name).unlink()
    assert np.array_equal(read_cells(alone).X.toarray(), CELLS.X.toarray())


def test_unspliced_columns_are_no_genes(tmp_path):
    alevin_fry(tmp_path, CELLS)
    names = [*CELLS.var_names[:3], *(CELLS.var_names[:3] + "-U"), *(CELLS.var_names[:3] + "-A")]
    lines(tmp_path / "quants_mat_cols.txt", names)
    with pytest.raises(UserError, match="folder-ambiguous"):
        read_cells(tmp_path)


@pytest.mark.parametrize("who", ["kb", "kb_gz", "starsolo_em_alone"])
def test_a_matrix_alone_names_its_folder(who, tmp_path):
    WRITERS[who](tmp_path, CELLS)
    file = next(tmp_path.glob("*.mtx*"))
    with pytest.raises(UserError) as caught:
        read_cells(file)
    assert caught.value.rule == "file-format"
    folder = caught.value.mend.split("'")[1]
    assert np.array_equal(read_cells(folder).X.toarray(), CELLS.X.toarray())


def test_a_folder_around_it_names_what_is_inside(tmp_path):
    inner = tmp_path / "counts_unfiltered"
    inner.mkdir()
    kb(inner, CELLS)
    with pytest.raises(UserError) as caught:
        read_cells(tmp_path)
    assert caught.value.rule == "file-is-folder"
    assert read_cells(caught.value.mend.split("'")[1]).shape == CELLS.shape
