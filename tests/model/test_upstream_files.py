"""The three released files: a payload never runs, and a file that is broken is refused by its rule."""

import pickle
from pathlib import Path

import pytest
import torch
from tests.released import random_state, write_release

from sc_mamba2.errors import UserError
from sc_mamba2.model.upstream import import_release

STATE = random_state()


@pytest.mark.parametrize("content", [[torch.ones(2)], {}, torch.ones(2)])
def test_a_file_that_is_no_table_of_tensors(tmp_path, content):
    folder = write_release(tmp_path / "released", state=content)
    with pytest.raises(UserError) as caught:
        import_release(folder, tmp_path / "ours")
    assert caught.value.rule == "upstream-tensors"


class Payload:
    """Touches a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("as_zip", [True, False])
@pytest.mark.parametrize("place", ["alone", "beside"])
def test_a_payload_does_not_run(tmp_path, as_zip, place):
    canary = tmp_path / "canary"
    content = Payload(canary) if place == "alone" else STATE | {"bn.extra": Payload(canary)}
    folder = write_release(tmp_path / "released")
    torch.save(content, folder / "best_model.pt", _use_new_zipfile_serialization=as_zip)
    with pytest.raises(UserError) as caught:
        import_release(folder, tmp_path / "ours")
    assert caught.value.rule == "upstream-pickle"
    assert not canary.exists() and not (tmp_path / "ours").exists()
    torch.load(folder / "best_model.pt", weights_only=False)
    assert canary.exists(), "the canary cannot sing: this test would pass with any reader"


def test_a_bare_pickle_does_not_run(tmp_path):
    folder = write_release(tmp_path / "released")
    (folder / "best_model.pt").write_bytes(pickle.dumps(Payload(tmp_path / "canary"), protocol=2))
    with pytest.raises(UserError, match="upstream-pickle"):
        import_release(folder, tmp_path / "ours")
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.9, 0.999])
@pytest.mark.parametrize("as_zip", [True, False])
def test_a_truncated_file(tmp_path, share, as_zip):
    folder = write_release(tmp_path / "released")
    torch.save(STATE, folder / "best_model.pt", _use_new_zipfile_serialization=as_zip)
    content = (folder / "best_model.pt").read_bytes()
    (folder / "best_model.pt").write_bytes(content[: int(len(content) * share)])
    with pytest.raises(UserError) as caught:
        import_release(folder, tmp_path / "ours")
    assert caught.value.rule in ("upstream-damaged", "upstream-pickle")


@pytest.mark.parametrize("content", [b"weights", b"\x80\x02}", b"PK\x03\x04" + bytes(50)])
def test_something_else_than_weights(tmp_path, content):
    folder = write_release(tmp_path / "released")
    (folder / "best_model.pt").write_bytes(content)
    with pytest.raises(UserError) as caught:
        import_release(folder, tmp_path / "ours")
    assert caught.value.rule in ("upstream-damaged", "upstream-pickle", "upstream-tensors")


def test_the_older_format_of_torch_is_read(tmp_path):
    folder = write_release(tmp_path / "released")
    torch.save(STATE, folder / "best_model.pt", _use_new_zipfile_serialization=False)
    assert import_release(folder, tmp_path / "ours").mapped == len(STATE)


@pytest.mark.parametrize("name", ["best_model.pt", "args.json", "vocab.json"])
def test_a_missing_file_is_named(tmp_path, name):
    folder = write_release(tmp_path / "released")
    (folder / name).unlink()
    with pytest.raises(UserError, match=name) as caught:
        import_release(folder, tmp_path / "ours")
    assert caught.value.rule == "upstream-folder"


@pytest.mark.parametrize("content", ["", "[]", '{"a": 1, "a": 2}', "{" * 100_000])
@pytest.mark.parametrize("name", ["args.json", "vocab.json"])
def test_broken_json(tmp_path, name, content):
    folder = write_release(tmp_path / "released")
    (folder / name).write_text(content)
    with pytest.raises(UserError) as caught:
        import_release(folder, tmp_path / "ours")
    assert caught.value.rule == ("upstream-args" if name == "args.json" else "upstream-vocabulary")
