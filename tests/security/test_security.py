"""What docs/security.md promises: no pickle, no payload that runs, no network, nothing outside of its folder."""

import ast
import pickle
import socket
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from tests.cli import entered, refused
from tests.released import random_state, write_release

from sc_mamba2.cells import simulate_cells
from sc_mamba2.errors import UserError
from sc_mamba2.model.manifest import write_json, write_manifest
from sc_mamba2.tasks.embedding.index import ReferenceIndex

SOURCE = Path(__file__).parents[2] / "src" / "sc_mamba2"
LOADERS = {"pickle", "cPickle", "joblib", "dill", "cloudpickle", "shelve", "marshal"}
READ_BY_TORCH = SOURCE / "model" / "upstream" / "files.py"  # a foreign .pt, by weights_only alone


class Payload:
    """Touches a file when it is unpickled."""

    def __init__(self, canary):
        self.canary = canary

    def __reduce__(self):
        return Path.touch, (self.canary,)


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda path: path.stem)
def test_nothing_here_reads_or_writes_a_pickle(path):
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        imported = (
            [one.name for one in getattr(node, "names", ())] if isinstance(node, ast.Import) else []
        )
        imported += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
        assert path == READ_BY_TORCH or not {one.split(".")[0] for one in imported} & LOADERS
        if not isinstance(node, ast.Call):
            continue
        called, words = (
            ast.unparse(node.func),
            {one.arg: ast.unparse(one.value) for one in node.keywords},
        )
        assert called not in ("pd.read_pickle", "torch.save", "eval", "exec"), ast.unparse(node)
        assert words.get("allow_pickle", "False") == "False", ast.unparse(node)
        if called == "torch.load":
            assert path == READ_BY_TORCH and words["weights_only"] == "True"


@pytest.mark.parametrize("as_zip", [True, False])
def test_the_payload_of_a_foreign_file_does_not_run(tmp_path, as_zip):
    canary, folder = tmp_path / "canary", write_release(tmp_path / "released")
    content = random_state() | {"bn.extra": Payload(canary)}
    torch.save(content, folder / "best_model.pt", _use_new_zipfile_serialization=as_zip)
    refused(
        "import-weights", folder, "-o", tmp_path / "out", rule="upstream-pickle", folder=tmp_path
    )
    assert not canary.exists()
    for verb in ("embed", "annotate"):  # which take folders of ours alone
        words = (verb, "simulated:three-types", "-c", folder, "-o", tmp_path / "out.h5ad")
        refused(*words, rule="checkpoint-file", folder=tmp_path)
    assert not canary.exists()


def test_the_payload_of_an_index_does_not_run(tmp_path):
    canary, folder = tmp_path / "canary", tmp_path / "index"
    index = ReferenceIndex(
        vectors=np.ones((3, 2), np.float32),
        labels=np.array(["a", "b", "b"]),
        names=np.array(["1", "2", "3"]),
        own_distances=np.ones(3, np.float32),
        squares_V=np.ones(2),
        facts={"space": {}},
    )
    index.save(folder)
    for file in folder.glob("*.npy"):
        np.save(file, np.array([Payload(canary)], dtype=object), allow_pickle=True)
    (folder / "manifest.json").unlink()
    write_manifest(folder)
    with pytest.raises(UserError, match="index-damaged"):
        ReferenceIndex.load(folder)
    assert not canary.exists()
    pickle.loads(pickle.dumps(Payload(canary)))
    assert canary.exists(), "the canary cannot sing"


def test_no_command_opens_a_socket_unless_asked(tmp_path, monkeypatch, full):
    def refuse(*_, **__):
        raise AssertionError("the network was asked")

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    simulate_cells(60, 200).write_h5ad(tmp_path / "cells.h5ad")
    entered("validate", tmp_path / "cells.h5ad")
    if full:
        entered("embed", tmp_path / "cells.h5ad", "-o", tmp_path / "out.h5ad")
    entered("doctor")
    entered("data", "list")
    entered("model", "list")
    monkeypatch.chdir(tmp_path)
    entered("init", tmp_path / "project")
    refused(
        "embed",
        tmp_path / "cells.h5ad",
        "-c",
        "owner/name",
        "-o",
        "o.h5ad",
        rule="checkpoint-folder",
    )


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/../../x", "..", "x\x00y"])
def test_names_lead_to_nothing_outside(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").write_text('[tool.kedro]\npackage_name = "sc_mamba2"\n')
    refused("rerun", name, rule="run-name", folder=tmp_path)
    refused("data", "pull", name, folder=tmp_path)


def test_a_manifest_and_links_of_hdf5_lead_to_nothing_outside(tmp_path):
    path = tmp_path / "cells.h5ad"
    for link in (
        h5py.ExternalLink("/etc/hostname", "/x"),
        h5py.ExternalLink("../other.h5ad", "/X"),
    ):
        simulate_cells(60, 200).write_h5ad(path)
        with h5py.File(path, "r+") as file:
            file["layers/linked"] = link
        refused("validate", path, rule="file-external-link", folder=tmp_path)
    (tmp_path / "model").mkdir()
    write_json(tmp_path / "model" / "manifest.json", {"format": 1, "files": {"../cells.h5ad": "0"}})
    words = ("embed", path, "-c", tmp_path / "model", "-o", tmp_path / "out.h5ad")
    refused(*words, folder=tmp_path)


def test_what_a_link_in_an_output_folder_points_to_stays(tmp_path):
    from sc_mamba2.files import atomic_folder

    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "a").write_text("mine")
    (tmp_path / "out").symlink_to(tmp_path / "precious")
    with atomic_folder(tmp_path / "out") as draft:
        (draft / "b").write_text("new")
    assert (tmp_path / "precious" / "a").read_text() == "mine"
