"""Property 8, and every way in which a checkpoint folder can be broken."""

import errno
import hashlib
import json
import pickle
import struct
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError

from sc_mamba2.errors import UserError
from sc_mamba2.genes import Vocabulary
from sc_mamba2.model import (
    Backbone,
    load_state,
    preset,
    read_checkpoint,
    saving,
    write_checkpoint,
)

GENES = tuple(f"ENSG{number:011d}" for number in range(7))
VOCABULARY = Vocabulary(
    name="t", ids=("<pad>", "<cls>", *GENES), symbols=("<pad>", "<cls>", *GENES)
)
FILES = ("config.json", "vocabulary.json", "model.safetensors", "MODEL_CARD.md", "manifest.json")


def write(folder, state=None, **options):
    torch.manual_seed(0)
    config = preset("micro", VOCABULARY.size)
    write_checkpoint(
        folder,
        state=Backbone(config).state_dict() if state is None else state,
        config={"model": config.model_dump(), "task": "embedding", "settings": {}},
        vocabulary=VOCABULARY,
        model_card="# A model\n",
        **options,
    )


@pytest.fixture
def folder(tmp_path):
    write(tmp_path / "checkpoint")
    return tmp_path / "checkpoint"


def rule_of(folder, **options):
    with pytest.raises(UserError) as caught:
        read_checkpoint(folder, **options)
    return caught.value.rule


def same_bits(one, other):
    kinds = {8: torch.int64, 4: torch.int32, 2: torch.int16, 1: torch.int8}
    kind = kinds[one.element_size()]
    return one.dtype == other.dtype and torch.equal(one.view(kind), other.view(kind))


def test_what_was_saved_comes_back_bit_by_bit(tmp_path):
    state = {
        "odd": torch.tensor([0.0, -0.0, float("nan"), float("inf"), 1e-45]),
        "double": torch.randn(3, 4, dtype=torch.float64),
        "half": torch.randn(5).bfloat16(),
        "whole": torch.tensor([2**62, -1]),
        "scalar": torch.tensor(3.0),
        "turned": torch.randn(3, 4).T,
    }
    write(tmp_path / "c", state)
    back = read_checkpoint(tmp_path / "c")
    assert back.state.keys() == state.keys()
    assert all(same_bits(back.state[name], tensor) for name, tensor in state.items())
    assert back.vocabulary == VOCABULARY
    assert back.config["task"] == "embedding"


def test_a_backbone_computes_the_same_after_a_round_trip(folder):
    torch.manual_seed(0)
    config = preset("micro", VOCABULARY.size)
    backbone, other = Backbone(config), Backbone(config)
    checkpoint = read_checkpoint(folder)
    assert checkpoint.model_config() == config
    load_state(other, checkpoint.state)
    batch = (
        torch.randint(0, 9, (2, 7)),
        torch.randint(0, 51, (2, 7)).float(),
        torch.tensor([7, 3]),
    )
    assert torch.equal(backbone(*batch), other(*batch))


def test_a_folder_holds_these_files_and_no_pickle(folder):
    assert {path.name for path in folder.iterdir()} == set(FILES)
    assert [path.name for path in folder.parent.iterdir()] == ["checkpoint"]


def test_the_same_model_has_the_same_identity(folder, tmp_path):
    write(tmp_path / "again")
    assert read_checkpoint(folder).sha256 == read_checkpoint(tmp_path / "again").sha256


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("verify", [True, False])
def test_a_missing_file_is_named(folder, name, verify):
    (folder / name).unlink()
    with pytest.raises(UserError, match=name) as caught:
        read_checkpoint(folder, verify=verify)
    assert caught.value.rule == "checkpoint-file"


def test_no_folder(tmp_path):
    assert rule_of(tmp_path / "nowhere") == "checkpoint-folder"
    (tmp_path / "file").write_text("x")
    assert rule_of(tmp_path / "file") == "checkpoint-folder"


@pytest.mark.parametrize("name", FILES[:-1])
def test_a_changed_file_is_named(folder, name):
    path = folder / name
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match=name) as caught:
        read_checkpoint(folder)
    assert caught.value.rule == "checkpoint-sha256"


def tensors_file(header, data=b""):
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00" * 7,
        struct.pack("<Q", 2**63) + b"{}",
        struct.pack("<Q", 100) + b"{}",
        struct.pack("<Q", 4) + b"{{{{",
        tensors_file({"a": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}}, b"\x00" * 8),
        tensors_file({"a": {"dtype": "F32", "shape": [9], "data_offsets": [0, 16]}}, b"\x00" * 16),
        tensors_file({"a": {"dtype": "F32", "shape": [-4], "data_offsets": [0, 16]}}, b"\x00" * 16),
        tensors_file({"a": {"dtype": "F99", "shape": [4], "data_offsets": [0, 16]}}, b"\x00" * 16),
        tensors_file({"a": {"dtype": "F32", "shape": [2**62], "data_offsets": [0, 16]}}, b"0" * 16),
        pickle.dumps({"a": 1}),
    ],
)
def test_broken_tensors_are_refused(folder, content):
    (folder / "model.safetensors").write_bytes(content)
    assert rule_of(folder, verify=False) == "checkpoint-tensors"
    assert rule_of(folder) == "checkpoint-sha256"


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_truncated_tensors_are_refused(folder, share):
    path = folder / "model.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    assert rule_of(folder, verify=False) == "checkpoint-tensors"


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\xfe", b"[" * 100_000])
def test_broken_json_is_refused(folder, content):
    (folder / "config.json").write_bytes(content)
    assert rule_of(folder, verify=False) == "checkpoint-json"
    (folder / "manifest.json").write_bytes(content)
    assert rule_of(folder) == "checkpoint-json"


@pytest.mark.parametrize(
    ("manifest", "rule"),
    [
        ({"format": 2}, "checkpoint-format"),
        ({"format": 1}, "checkpoint-sha256"),
        ({"format": 1, "sha256": []}, "checkpoint-sha256"),
        ({"format": 1, "sha256": {"../../etc/passwd": "0"}}, "checkpoint-sha256"),
    ],
)
def test_a_manifest_that_says_otherwise_is_refused(folder, manifest, rule):
    (folder / "manifest.json").write_text(json.dumps(manifest))
    assert rule_of(folder) == rule


def test_a_model_of_another_vocabulary_is_refused(folder):
    path = folder / "config.json"
    config = json.loads(path.read_text())
    config["model"]["vocabulary_size"] = 10
    path.write_text(json.dumps(config))
    with pytest.raises(UserError) as caught:
        read_checkpoint(folder, verify=False).model_config()
    assert caught.value.rule == "checkpoint-vocabulary"
    path.write_text("{}")
    with pytest.raises(UserError) as caught:
        read_checkpoint(folder, verify=False).model_config()
    assert caught.value.rule == "checkpoint-config"


def test_a_checkpoint_is_replaced_only_when_asked(folder):
    with pytest.raises(UserError, match="allow overwriting") as caught:
        write(folder)
    assert caught.value.rule == "checkpoint-exists"
    write(folder, {"a": torch.ones(2)}, overwrite=True)
    assert list(read_checkpoint(folder).state) == ["a"]
    assert [path.name for path in folder.parent.iterdir()] == ["checkpoint"]


def test_a_folder_that_is_no_checkpoint_is_never_replaced(tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("years of work")
    with pytest.raises(UserError, match="not a checkpoint"):
        write(tmp_path / "thesis", overwrite=True)
    assert (tmp_path / "thesis" / "chapter.txt").read_text() == "years of work"


def test_a_write_that_fails_leaves_the_older_checkpoint(folder, monkeypatch):
    before = read_checkpoint(folder).sha256

    def full_disk(tensors, path):
        path.write_bytes(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(saving, "save_file", full_disk)
    with pytest.raises(OSError, match="No space"):
        write(folder, {"a": torch.ones(2)}, overwrite=True)
    assert read_checkpoint(folder).sha256 == before
    assert [path.name for path in folder.parent.iterdir()] == ["checkpoint"]


def add_notes(draft):
    (draft / "notes" / "deep").mkdir(parents=True)
    (draft / "notes" / "deep" / "a.txt").write_text("a")


@pytest.mark.parametrize("fault", [Path.unlink, lambda path: path.write_text("b")])
def test_further_files_are_under_the_same_manifest(tmp_path, fault):
    write(tmp_path / "c", add_files=add_notes)
    path = tmp_path / "c" / "notes" / "deep" / "a.txt"
    assert read_checkpoint(tmp_path / "c").config["task"] == "embedding"
    assert "notes/deep/a.txt" in (tmp_path / "c" / "manifest.json").read_text()
    fault(path)
    with pytest.raises(UserError, match=r"notes/deep/a\.txt") as caught:
        read_checkpoint(tmp_path / "c")
    assert caught.value.rule == "checkpoint-sha256"


def test_a_note_that_a_person_left_is_let_be(folder):
    before = read_checkpoint(folder).sha256
    (folder / "note.txt").write_text("the good one")
    assert read_checkpoint(folder).sha256 == before


def test_a_manifest_leads_to_no_file_outside(folder):
    outside = folder.parent / "outside.txt"
    outside.write_text("x")
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["sha256"]["../outside.txt"] = hashlib.sha256(b"x").hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))
    assert rule_of(folder) == "checkpoint-sha256"


def test_others_may_read_the_tensors_as_they_may_the_rest(folder):
    modes = {(folder / name).stat().st_mode for name in FILES}
    assert len(modes) == 1


def test_what_the_system_refuses_to_safetensors_is_an_error_of_the_system(tmp_path, monkeypatch):
    def full_disk(tensors, path):
        raise SafetensorError("Error while serializing: I/O error: No space (os error 28)")

    monkeypatch.setattr(saving, "save_file", full_disk)
    with pytest.raises(OSError) as caught:
        write(tmp_path / "c")
    assert caught.value.errno == errno.ENOSPC
    assert list(tmp_path.iterdir()) == []


def test_every_wrong_tensor_is_named_and_nothing_is_loaded():
    module = torch.nn.Linear(3, 2)
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    wrong = {"weight": torch.zeros(3, 2), "encoder.bias": torch.zeros(2)}
    with pytest.raises(UserError) as caught:
        load_state(module, wrong)
    assert caught.value.rule == "checkpoint-state"
    assert caught.value.found == (
        "missing: bias; unexpected: encoder.bias; of another shape: weight (3, 2) for (2, 3)"
    )
    nan = {"weight": torch.full((2, 3), float("nan")), "bias": torch.zeros(2)}
    with pytest.raises(UserError, match="not finite: weight"):
        load_state(module, nan)
    assert all(torch.equal(module.state_dict()[name], tensor) for name, tensor in before.items())
    load_state(module, {"weight": torch.ones(2, 3), "bias": torch.zeros(2)})
    assert (module.weight == 1).all()
