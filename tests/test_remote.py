"""Cells, checkpoints and token stores at an address: of S3 (a server on loopback), HTTP, and in memory."""

import json
import shlex
import shutil
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import fsspec
import numpy as np
import pytest
from tests import cli
from tests.s3 import running_s3

from sc_mamba2.cells import read_cells, simulate_cells
from sc_mamba2.errors import UserError
from sc_mamba2.genes import load_vocabulary
from sc_mamba2.model import checkpoint_folder
from sc_mamba2.remote import address_of, local_copies, local_copy
from sc_mamba2.runs.command_line import recorded_command, typed
from sc_mamba2.tokens import Tokenizer, TokenizerRules, TokenStore, TokenStoreWriter
from sc_mamba2.versions.names import with_paths

TINY = checkpoint_folder("scm-tiny")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def memory():
    system = fsspec.filesystem("memory")
    yield system
    system.rm("/bucket", recursive=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Hold cells in both formats, a checkpoint and a token store."""
    folder = tmp_path_factory.mktemp("far")
    cells = simulate_cells(24)
    cells.write_h5ad(folder / "cells.h5ad")
    cells.write_zarr(folder / "cells.zarr")
    shutil.copytree(TINY, folder / "model")
    tokenizer = Tokenizer(load_vocabulary("gencode-v44"), TokenizerRules())
    with TokenStoreWriter(folder / "store", tokenizer) as writer:
        writer.add(tokenizer.tokenize(cells.X, cells.var_names.to_numpy(), cells.obs))
    return folder


def files_of(folder: Path) -> dict[str, bytes]:
    inside = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in inside}


def kept(cache: Path) -> list[Path]:
    return [path for path in cache.rglob("*") if path.is_file() and path.suffix != ".lock"]


def test_what_is_no_address_stays_as_it_is(tmp_path):
    for place in ("cells.h5ad", "soma:/data/x", "tcp://host:8786", "data:pbmc", "C:/cells.h5ad"):
        assert address_of(place) is None and local_copy(place) == place
    assert local_copy("file:///a/b") == "/a/b" and local_copy(tmp_path) == str(tmp_path)
    assert address_of(Path("s3://bucket/cells.h5ad")) == "s3://bucket/cells.h5ad"


def test_a_copy_is_made_once_for_each_content(memory, cache):
    memory.pipe("/bucket/cells.h5ad", b"one")
    first = Path(local_copy("memory://bucket/cells.h5ad"))
    stamp = first.stat().st_mtime_ns
    assert first.name == "cells.h5ad" and first.read_bytes() == b"one"
    assert Path(local_copy("memory://bucket/cells.h5ad")).stat().st_mtime_ns == stamp
    memory.pipe("/bucket/cells.h5ad", b"two")
    second = Path(local_copy("memory://bucket/cells.h5ad"))
    assert second.read_bytes() == b"two" and first.read_bytes() == b"one"
    assert len(kept(cache)) == 2


def test_what_says_nothing_of_its_content_is_fetched_anew_and_kept_by_it(
    memory, cache, monkeypatch
):
    real = type(memory).info
    monkeypatch.setattr(
        type(memory), "info", lambda self, path, **named: _unmarked(real(self, path, **named))
    )
    memory.pipe("/bucket/cells.h5ad", b"one")
    first = Path(local_copy("memory://bucket/cells.h5ad"))
    memory.pipe("/bucket/cells.h5ad", b"two")
    second = Path(local_copy("memory://bucket/cells.h5ad"))
    assert (first.read_bytes(), second.read_bytes()) == (b"one", b"two")  # no reader loses its file
    assert Path(local_copy("memory://bucket/cells.h5ad")) == second
    assert len(kept(cache)) == 2


@pytest.mark.parametrize("marked", [True, False])
def test_what_a_killed_fetch_left_is_removed_by_the_next(memory, cache, monkeypatch, marked):
    real = type(memory).info
    if not marked:
        monkeypatch.setattr(
            type(memory), "info", lambda self, path, **named: _unmarked(real(self, path, **named))
        )
    memory.pipe("/bucket/cells.h5ad", b"one")
    with monkeypatch.context() as killed:
        killed.setattr(type(memory), "get", lambda self, _, to: _write_and_die(to))
        killed.setattr("sc_mamba2.files.shutil.rmtree", lambda *_, **__: None)
        with pytest.raises(KeyboardInterrupt):
            local_copy("memory://bucket/cells.h5ad")
    assert kept(cache)
    copy = Path(local_copy("memory://bucket/cells.h5ad"))
    assert kept(cache) == [copy] and copy.read_bytes() == b"one"


def _write_and_die(places):
    Path(places[0]).write_bytes(b"o")
    raise KeyboardInterrupt


def _unmarked(facts):
    return {name: facts[name] for name in ("name", "size", "type")}


def test_parameters_name_copies_and_lists_take_patterns(memory):
    for name in ("b", "a"):
        memory.pipe(f"/bucket/{name}.h5ad", name.encode())
    found = with_paths(
        {"input": "memory://bucket/a.h5ad", "sources": ["memory://bucket/*.h5ad", "here.h5ad"]},
        Path(),
    )
    assert Path(found["input"]).read_text() == "a"
    assert [Path(one).name for one in found["sources"]] == ["a.h5ad", "b.h5ad", "here.h5ad"]
    rna = with_paths("rna=memory://bucket/b.h5ad", Path())
    assert Path(rna.removeprefix("rna=")).read_text() == "b"


def test_what_fails_leaves_nothing(memory, cache, monkeypatch):
    def refusal(place: str, rule: str) -> str:
        with pytest.raises(UserError) as caught:
            local_copies(place)
        assert caught.value.rule == rule and not kept(cache)
        return caught.value.found

    memory.pipe({"/bucket/a/1": b"1", "/bucket/a/2": b"2"})
    assert "memory://bucket/b" in refusal("memory://bucket/b", "remote-missing")
    assert "b*" in refusal("memory://bucket/b*", "remote-missing")
    with monkeypatch.context() as patch:
        patch.setattr(type(memory), "get_file", _breaks_at_the_second())
        assert "line cut" in refusal("memory://bucket/a", "remote-refused")
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "s3fs", None)
        assert "s3fs" in refusal("s3://absent/cells.h5ad", "remote-library")
    memory.store["/bucket/a/../../out"] = memory.store["/bucket/a/1"]
    assert "leads out" in refusal("memory://bucket/a", "remote-refused")
    del memory.store["/bucket/a/../../out"]
    assert files_of(Path(local_copy("memory://bucket/a"))) == {"1": b"1", "2": b"2"}


def _breaks_at_the_second():
    real, asked = fsspec.filesystem("memory").get_file, []

    def get_file(self, *words, **named):
        asked.append(words)
        if len(asked) == 2:
            raise RuntimeError("the line cut")
        return real(*words, **named)

    return get_file


def test_a_file_comes_by_http_and_a_denied_one_does_not(folder, cache, caplog):
    class Handler(SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            if "denied" in self.path:
                self.send_error(403, "no credentials")
            else:
                super().do_GET()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    address = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        copy = Path(local_copy(f"{address}/cells.h5ad?signature=secret"))
        assert copy.name == "cells.h5ad" and "signature" not in caplog.text
        assert copy.read_bytes() == (folder / "cells.h5ad").read_bytes()
        for path, why in {"none.h5ad": "", "denied.h5ad": "403"}.items():
            with pytest.raises(UserError) as caught:
                local_copy(f"{address}/{path}?signature=secret")
            assert "secret" not in str(caught.value)
            assert caught.value.rule == "remote-missing" and why in caught.value.found
        assert kept(cache) == [copy]
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def bucket(folder: Path):
    """Give an address of S3 at which the folder lies; the server knows no wrong credentials."""
    with running_s3("cells") as address:
        fsspec.filesystem("s3").put(f"{folder}/", f"{address}/far", recursive=True)
        yield f"{address}/far"


def test_sources_of_s3_are_valid_as_they_were(bucket, folder):
    said = [
        cli.entered("validate", f"{place}/cells.{kind}", "--json").stdout
        for place in (folder, bucket)
        for kind in ("h5ad", "zarr")
    ]
    assert len({text.split('"valid"')[1] for text in said}) == 1
    words = ("embed", folder / "cells.h5ad", "-o", f"{bucket}/out.h5ad")
    cli.refused(*words, rule="output-remote", folder=folder)


@pytest.mark.slow
def test_cells_and_checkpoint_of_s3_give_the_same_vectors(bucket, folder, tmp_path):
    for name, place in {"far": bucket, "near": folder}.items():
        words = (f"{place}/cells.h5ad", "-c", f"{place}/model", "-o", tmp_path / f"{name}.h5ad")
        cli.entered("embed", *words)
    far, near = (read_cells(tmp_path / f"{name}.h5ad").obsm["X_scm"] for name in ("far", "near"))
    assert np.array_equal(far, near)


@pytest.mark.slow
def test_a_pattern_and_a_token_store_of_s3_are_pretrained_on(bucket, tmp_path, monkeypatch):
    cli.entered("init", tmp_path / "project")
    monkeypatch.chdir(tmp_path / "project")
    few = "pretraining.training.batch_size=4,pretraining.training.micro_batch_size=4"
    for name, source in {"pattern": "*.h5ad", "store": "store"}.items():
        words = (
            "--preset",
            "micro",
            "--steps",
            2,
            "--run",
            f"data/06_models/{name}",
            "--params",
            few,
        )
        cli.entered("pretrain", f"{bucket}/{source}", *words)
        told = json.loads(Path("data/08_reporting/pretraining/metrics.json").read_text())
        assert told["data"]["cells"] == 24
        assert checkpoint_folder(f"data/06_models/{name}/model").is_dir()


def test_checkpoints_and_token_stores_of_s3_are_as_they_were(bucket, folder):
    found = checkpoint_folder(f"{bucket}/model")
    assert files_of(found) == files_of(folder / "model")
    store, near = (TokenStore.open(f"{place}/store") for place in (bucket, folder))
    assert store.manifest == near.manifest and np.array_equal(store.lengths, near.lengths)


def test_what_s3_refuses_is_told(bucket, cache, monkeypatch):
    def refused(place: str, rule: str) -> None:
        assert place in cli.refused("validate", place, rule=rule) and not kept(cache)

    refused(f"{bucket}/none.h5ad", "remote-missing")
    refused("s3://no-such-bucket/cells.h5ad", "remote-missing")
    monkeypatch.setattr("moto.settings.INITIAL_NO_AUTH_ACTION_COUNT", 0.0)  # from now on it looks
    fsspec.get_filesystem_class("s3").clear_instance_cache()  # which has what was right before
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "wrong")
    refused(f"{bucket}/cells.h5ad", "remote-refused")


@pytest.mark.slow
def test_a_server_that_does_not_answer_is_told(bucket, cache, monkeypatch):
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    text = cli.refused("validate", f"{bucket}/cells.h5ad", rule="remote-refused")
    assert "127.0.0.1:1" in text and not kept(cache)
    fsspec.get_filesystem_class("s3").clear_instance_cache()


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("https://me:pw@host/a@b.h5ad?Signature=x", "https://host/a@b.h5ad"),
        ("rna=s3://key:secret@bucket/x", "rna=s3://bucket/x"),
        ("soma:tiledb://a/b?sex == 'male'", "soma:tiledb://a/b?sex == 'male'"),
        ("cells?.h5ad", "cells?.h5ad"),
    ],
)
def test_the_command_that_a_run_keeps_has_no_secrets(words, shown):
    with recorded_command(["embed", words]):
        assert typed() == shlex.join(["scm", "embed", shown])
