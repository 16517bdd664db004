"""Folders, patterns and lists lead to the same sorted sources."""

from pathlib import Path

import pytest
from tests.cells import formats

from sc_mamba2.cells.corpus import list_sources
from sc_mamba2.cells.simulate import simulate_cells
from sc_mamba2.errors import UserError


def names(sources: list[str]) -> list[str]:
    return [Path(source).name for source in sources]


def test_a_folder_is_searched_to_its_depths(folder):
    formats.write_tenx_mtx(simulate_cells(3, 4), folder / "sub")
    (folder / "notes.csv").write_text("x")
    (folder / ".draft.h5ad").write_text("x")
    assert names(list_sources(folder)) == ["a.h5ad", "b.zarr", "c.loom", "mtx-3"]


@pytest.mark.parametrize("name", ["a.h5ad", "b.zarr"])
def test_one_source(folder, name):
    assert list_sources(folder / name) == [str(folder / name)]


def test_a_pattern(folder):
    assert names(list_sources(f"{folder}/**/*.[hl]*")) == ["a.h5ad", "c.loom"]


def test_several_in_any_order_and_twice(folder):
    asked = [folder / "sub", folder / "b.zarr", str(folder / "a.h5ad"), folder]
    assert list_sources(asked) == list_sources(folder)


def test_a_text_file_is_relative_to_itself(folder):
    listed = folder / "list.txt"
    listed.write_text("# studies\nsub/*.loom\n\nb.zarr  # zarr\nsimulated:three-types\n")
    assert names(list_sources(listed)) == ["b.zarr", "c.loom", "simulated:three-types"]


def test_a_missing_line_names_its_number_and_the_nearest(folder):
    (folder / "list.txt").write_text("a.h5ad\nb.zar\n")
    with pytest.raises(UserError) as caught:
        list_sources(folder / "list.txt")
    assert caught.value.rule == "file-missing"
    assert "line 2" in caught.value.found and "'b.zarr'" in caught.value.mend


@pytest.mark.parametrize("spec", ["nothing*.h5ad", "empty", "empty.txt", []])
def test_nothing_is_refused(tmp_path, spec):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty.txt").write_text("# nothing\n")
    with pytest.raises(UserError) as caught:
        list_sources(tmp_path / spec if isinstance(spec, str) else spec)
    assert caught.value.rule == "corpus-empty"


def test_a_folder_that_is_only_called_zarr_is_not_passed_over(folder):
    (folder / "lost.zarr" / "X").mkdir(parents=True)
    assert "lost.zarr" in names(list_sources(folder))
