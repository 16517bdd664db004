import hashlib
import io
import json
import shutil
import zipfile

import anndata as ad
import numpy as np
import pytest
import yaml

from sc_mamba2.errors import UserError
from sc_mamba2.versions import dvc
from sc_mamba2.versions.data import list_data, pull, verify, write_pointer
from sc_mamba2.versions.download import download


def state(root, name):
    return {row["name"]: row["state"] for row in list_data(root)}[name]


def left(root):
    """Every file below data/, but for the lock."""
    return {path.name for path in (root / "data").rglob("*") if path.is_file()} - {".scm.data.lock"}


def test_a_data_set_arrives_once_with_its_hash_shape_and_pointer(site, named, project, cells_file):
    content = cells_file.read_bytes()
    address = site.put("/cells.h5ad", content)
    named("three", address=address, licence="CC0", expected={"stated": "s", "cells": 7})
    assert state(project, "three") == "absent"
    arrived = pull(project, "three")
    path = project / "data/01_raw/three/cells.h5ad"
    assert path.read_bytes() == content
    recorded = json.loads((project / "data/manifest.json").read_text())["data"]["three"]
    assert recorded["source"] == address
    assert recorded["files"]["cells.h5ad"]["sha256"] == hashlib.sha256(content).hexdigest()
    assert arrived.shape == recorded["shape"] and arrived.shape["cells"] > 7
    assert arrived.remarks == [f"{arrived.shape['cells']:,} cells, but 7 are stated"]
    pointer = yaml.safe_load(path.with_name("cells.h5ad.dvc").read_text())
    assert pointer["meta"]["source"] == address and pointer["meta"]["licence"] == "CC0"
    assert arrived.pointers == [path.with_name("cells.h5ad.dvc")]
    assert state(project, "three") == "verified"
    site.pages.clear()  # a second time nothing is asked of the server
    assert pull(project, "three").remarks == ["it was already here"]


def test_what_is_fetched_anew_must_be_the_same_bytes(site, named, tmp_path, cells_file):
    named("three", address=site.put("/cells.h5ad", cells_file.read_bytes()))
    pull(tmp_path, "three")
    path = tmp_path / "data/01_raw/three/cells.h5ad"
    before = path.read_bytes()
    path.write_bytes(before[:-1] + b"!")
    assert state(tmp_path, "three") == "here"
    assert verify(tmp_path, "three") == ["changed: cells.h5ad"]
    with pytest.raises(UserError, match="data-changed"):
        pull(tmp_path, "three")
    pull(tmp_path, "three", again=True)
    assert path.read_bytes() == before and verify(tmp_path, "three") == []
    site.put("/cells.h5ad", before + b"more")
    with pytest.raises(UserError, match="download-sha256"):
        pull(tmp_path, "three", again=True)
    assert path.read_bytes() == before
    path.unlink()
    assert verify(tmp_path, "three") == ["missing: cells.h5ad"]


def test_a_bar_is_drawn_where_it_is_asked_for(site, tmp_path, capfd):
    content = bytes(range(256)) * 10_000
    download(site.put("/a", content), tmp_path / "a")
    assert capfd.readouterr().err == ""
    download(site.put("/a", content), tmp_path / "a", progress=True)
    assert "100%" in capfd.readouterr().err and (tmp_path / "a").read_bytes() == content


@pytest.mark.parametrize(
    "answer, rule",
    [
        ({"content": b"gone", "status": 404}, "download-refused"),
        ({"content": b"a riddle for browsers", "status": 202}, "download-refused"),
        ({"content": b"half", "declared": 8}, "download-truncated"),
        ({"content": b"<html>log in</html>"}, "download-foreign"),
    ],
)
@pytest.mark.parametrize("comes", [{"comes": "file"}, {"comes": "archive", "member": "a/b.h5ad"}])
def test_a_failure_leaves_nothing(site, named, tmp_path, answer, rule, comes):
    named("three", address=site.put("/p.h5ad", **answer), **comes)
    with pytest.raises(UserError) as error:
        pull(tmp_path, "three")
    assert error.value.rule == rule and "/p.h5ad" in error.value.found
    assert left(tmp_path) == set() and not (tmp_path / "data/01_raw/three").exists()


def test_a_refused_port_is_no_network(site, named, tmp_path):
    named("three", address="http://127.0.0.1:1/cells.h5ad")
    with pytest.raises(UserError) as error:
        pull(tmp_path, "three")
    assert error.value.rule == "network" and error.value.found.endswith("Connection refused)")
    assert left(tmp_path) == set()


def test_of_an_archive_its_one_file_is_kept(site, named, tmp_path, cells_file):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.write(cells_file, "one/cells.h5ad")
        archive.writestr("../escaped", b"no")
    address = site.put("/6154020", packed.getvalue())
    named("one", address=address, comes="archive", member="one/cells.h5ad")
    pull(tmp_path, "one")
    named("two", address=address, comes="archive", member="two/cells.h5ad")
    with pytest.raises(UserError, match="download-foreign"):
        pull(tmp_path, "two")
    assert (tmp_path / "data/01_raw/one/cells.h5ad").read_bytes() == cells_file.read_bytes()
    assert left(tmp_path) == {"cells.h5ad", "manifest.json", ".scm.hashed.json"}


def test_what_is_fetched_by_hand_is_told_once_and_then_taken_in(named, tmp_path, cells_file):
    named("hand", address="https://example.invalid/folder", comes="by hand")
    with pytest.raises(UserError) as error:
        pull(tmp_path, "hand")
    assert error.value.rule == "data-by-hand" and "data/01_raw/hand/" in error.value.mend
    assert "https://example.invalid/folder" in error.value.found
    folder = tmp_path / "data/01_raw/hand"
    folder.mkdir(parents=True)
    cells = ad.read_h5ad(cells_file)
    cells.obsm["protein_expression"] = np.ones((cells.n_obs, 3))
    cells.write_h5ad(folder / "train.h5ad")
    arrived = pull(tmp_path, "hand")
    assert arrived.shape == {"cells": cells.n_obs, "genes": cells.n_vars, "proteins": 3}
    assert "not under DVC" in arrived.remarks[0]
    assert verify(tmp_path, "hand") == []


@pytest.mark.slow
def test_a_pointer_alone_downloads_nothing_and_gives_way_to_the_data(
    site, named, project, cells_file
):
    named("three", address=site.address + "/cells.h5ad")
    pointer = write_pointer(project, "three")
    assert yaml.safe_load(pointer.read_text())["deps"][0]["path"] == site.address + "/cells.h5ad"
    assert state(project, "three") == "absent"
    site.put("/cells.h5ad", cells_file.read_bytes())
    assert pull(project, "three").pointers == [pointer]
    assert "md5" in yaml.safe_load(pointer.read_text())["outs"][0]


@pytest.mark.slow
def test_what_one_fetched_by_hand_comes_from_the_remote_for_all(named, project, cells_file):
    with (project / ".dvc" / "config").open("a") as file:  # as `dvc remote add -d far ../far`
        file.write("[core]\n    remote = far\n['remote \"far\"']\n    url = ../../far\n")
    named("hand", address="https://example.invalid/folder", comes="by hand")
    path = project / "data/01_raw/hand/train.h5ad"
    path.parent.mkdir()
    path.write_bytes(cells_file.read_bytes())
    dvc.run(project, "push", "--quiet", *pull(project, "hand").pointers)
    shutil.rmtree(project / ".dvc/cache")
    path.write_bytes(b"changed")
    arrived = pull(project, "hand", again=True)
    assert arrived.remarks == ["from DVC's remote"]
    assert path.read_bytes() == cells_file.read_bytes()
