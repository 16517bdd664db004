"""`scm import-weights`: what it prints and writes, and that a refusal leaves nothing behind."""

import pytest
import torch
from tests.cli import entered, refused
from tests.released import NAMES, WIDTH, random_state, write_release

import sc_mamba2


def test_it_tells_what_was_taken_and_writes_a_checkpoint(tmp_path):
    unused = {"batch_encoder.embedding.weight": torch.ones(4, WIDTH)}
    folder = write_release(tmp_path / "released", state=random_state() | unused)
    shown = entered("import-weights", folder, "--output", tmp_path / "ours").output
    for text in (
        f"{len(random_state())} mapped, 1 not used",
        "batch_encoder.embedding.weight",
        "6 of 7 have an Ensembl id",
        "1 keep their name",
        "CC BY-NC 4.0",
        str(tmp_path / "ours"),
    ):
        assert text in shown
    model = sc_mamba2.from_pretrained(tmp_path / "ours")
    assert model.tokenizer.vocabulary.symbols == NAMES


def test_a_checkpoint_is_replaced_only_by_force(tmp_path):
    folder = write_release(tmp_path / "released")
    words = ("import-weights", folder, "-o", tmp_path / "ours")
    entered(*words)
    before = (tmp_path / "ours" / "manifest.json").read_bytes()
    state = random_state() | {"bn.bias": torch.ones(WIDTH)}
    write_release(folder, state=state)
    refused(*words, rule="checkpoint-exists")
    assert (tmp_path / "ours" / "manifest.json").read_bytes() == before
    entered(*words, "--force")
    assert (tmp_path / "ours" / "manifest.json").read_bytes() != before


def test_the_norm_of_a_batch_is_chosen(tmp_path):
    state = {name.replace("bn.", "dsbn.bns.0."): tensor for name, tensor in random_state().items()}
    folder = write_release(tmp_path / "released", state=state)
    words = ("import-weights", folder, "-o", tmp_path / "ours")
    assert "--dsbn" in refused(*words, rule="upstream-norm")
    entered(*words, "--dsbn", 0)


@pytest.mark.parametrize("case", ["nowhere", "truncated", "not finite", "args"])
def test_a_refusal_is_one_message_and_leaves_nothing(tmp_path, case):
    folder = write_release(tmp_path / "released")
    rule = {
        "nowhere": "upstream-folder",
        "truncated": "upstream-damaged",
        "not finite": "upstream-tensors",
        "args": "upstream-args",
    }[case]
    if case == "nowhere":
        folder = tmp_path / "nowhere"
    elif case == "truncated":
        content = (folder / "best_model.pt").read_bytes()
        (folder / "best_model.pt").write_bytes(content[:-2000])
    elif case == "not finite":
        write_release(folder, state=random_state() | {"bn.bias": torch.full((WIDTH,), torch.nan)})
    else:
        write_release(folder, args={"embsize": 1})
    refused("import-weights", folder, "--output", tmp_path / "ours", "--force", rule=rule)
    assert {path.name for path in tmp_path.iterdir()} == {"released"}
