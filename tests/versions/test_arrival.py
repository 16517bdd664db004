import hashlib
import io
import json
import shutil
import zipfile

import pytest
import yaml

from sc_mamba2.errors import UserError
from sc_mamba2.versions import arrival, dvc
from sc_mamba2.versions.data import list_data, verify


def no_word(*_):
    """Say nothing."""


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
    arrived = arrival.pull(project, "three", no_word)
    path = project / "data/01_raw/three/cells.h5ad"
    assert path.read_bytes() == content
    recorded = json.loads((project / "data/manifest.json").read_text())["data"]["three"]
    assert recorded["source"] == address
    assert recorded["files"]["cells.h5ad"]["sha256"] == hashlib.sha256(content).hexdigest()
    assert arrived.shape == recorded["shape"] and arrived.shape["cells"] > 7
    assert arrived.remarks == [f"{arrived.shape['cells']:,} cells, stated are 7"]
    pointer = yaml.safe_load(path.with_name("cells.h5ad.dvc").read_text())
    assert pointer["meta"]["source"] == address and pointer["meta"]["licence"] == "CC0"
    assert arrived.pointers == [path.with_name("cells.h5ad.dvc")]
    assert state(project, "three") == "verified"
    site.pages.clear()  # a second time nothing is asked of the server
    assert arrival.pull(project, "three", no_word).remarks == ["it was here already"]


def test_what_is_fetched_anew_must_be_the_same_bytes(site, named, tmp_path, cells_file):
    named("three", address=site.put("/cells.h5ad", cells_file.read_bytes()))
    arrival.pull(tmp_path, "three", no_word)
    path = tmp_path / "data/01_raw/three/cells.h5ad"
    before = path.read_bytes()
    path.write_bytes(before[:-1] + b"!")
    assert state(tmp_path, "three") == "here"
    assert verify(tmp_path, "three") == ["changed: cells.h5ad"]
    with pytest.raises(UserError, match="data-changed"):
        arrival.pull(tmp_path, "three", no_word)
    arrival.pull(tmp_path, "three", no_word, again=True)
    assert path.read_bytes() == before and verify(tmp_path, "three") == []
    site.put("/cells.h5ad", before + b"more")
    with pytest.raises(UserError, match="download-sha256"):
        arrival.pull(tmp_path, "three", no_word, again=True)
    assert path.read_bytes() == before
    path.unlink()
    assert verify(tmp_path, "three") == ["missing: cells.h5ad"]


@pytest.mark.parametrize("case", ["404", "truncated", "a page", "no network"])
def test_a_failure_leaves_nothing(site, named, tmp_path, cells_file, case):
    content = cells_file.read_bytes()
    address, rule = {
        "404": (site.address + "/nowhere.h5ad", "download-refused"),
        "truncated": (site.put("/t.h5ad", content[:99], declared=999), "download-truncated"),
        "a page": (site.put("/p.h5ad", b"<html>log in</html>"), "download-foreign"),
        "no network": ("http://127.0.0.1:1/cells.h5ad", "network"),
    }[case]
    named("three", address=address)
    with pytest.raises(UserError) as error:
        arrival.pull(tmp_path, "three", no_word)
    assert error.value.rule == rule
    assert left(tmp_path) == set() and not (tmp_path / "data/01_raw/three").exists()


def test_of_an_archive_its_one_file_is_kept(site, named, tmp_path, cells_file):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.write(cells_file, "one/cells.h5ad")
        archive.writestr("../escaped", b"no")
    address = site.put("/6154020", packed.getvalue())
    named("one", address=address, comes="archive", member="one/cells.h5ad")
    arrival.pull(tmp_path, "one", no_word)
    assert (tmp_path / "data/01_raw/one/cells.h5ad").read_bytes() == cells_file.read_bytes()
    assert left(tmp_path) == {"cells.h5ad", "manifest.json", ".scm.hashed.json"}


def test_what_is_fetched_by_hand_is_told_once_and_then_taken_in(named, tmp_path, cells_file):
    named("hand", address="https://example.invalid/folder", comes="by hand")
    with pytest.raises(UserError) as error:
        arrival.pull(tmp_path, "hand", no_word)
    assert error.value.rule == "data-by-hand" and "data/01_raw/hand/" in error.value.mend
    assert "https://example.invalid/folder" in error.value.found
    folder = tmp_path / "data/01_raw/hand"
    folder.mkdir(parents=True)
    (folder / "train.h5ad").write_bytes(cells_file.read_bytes())
    arrived = arrival.pull(tmp_path, "hand", no_word)
    assert arrived.shape["cells"] and "not under DVC" in arrived.remarks[0]
    assert verify(tmp_path, "hand") == []


def test_a_pointer_alone_downloads_nothing_and_gives_way_to_the_data(
    site, named, project, cells_file
):
    named("three", address=site.address + "/cells.h5ad")
    pointer = arrival.point(project, "three")
    assert yaml.safe_load(pointer.read_text())["deps"][0]["path"] == site.address + "/cells.h5ad"
    assert state(project, "three") == "absent"
    site.put("/cells.h5ad", cells_file.read_bytes())
    assert arrival.pull(project, "three", no_word).pointers == [pointer]
    assert "md5" in yaml.safe_load(pointer.read_text())["outs"][0]


def test_what_one_fetched_by_hand_comes_from_the_remote_for_all(named, project, cells_file):
    with (project / ".dvc" / "config").open("a") as file:  # as `dvc remote add -d far ../far`
        file.write("[core]\n    remote = far\n['remote \"far\"']\n    url = ../../far\n")
    named("hand", address="https://example.invalid/folder", comes="by hand")
    path = project / "data/01_raw/hand/train.h5ad"
    path.parent.mkdir()
    path.write_bytes(cells_file.read_bytes())
    dvc.send(project, arrival.pull(project, "hand", no_word).pointers)
    shutil.rmtree(project / ".dvc/cache")
    path.write_bytes(b"changed")
    arrived = arrival.pull(project, "hand", no_word, again=True)
    assert arrived.remarks == ["from DVC's remote"]
    assert path.read_bytes() == cells_file.read_bytes()
