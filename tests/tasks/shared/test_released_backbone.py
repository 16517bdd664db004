"""A task can start from imported weights, with a part of their vocabulary."""

import pytest
import torch
from tests.released import NAMES, random_state, write_release

from sc_mamba2.errors import UserError
from sc_mamba2.model import read_checkpoint
from sc_mamba2.model.upstream import import_release
from sc_mamba2.tasks.shared.checkpoint_backbone import EMBEDDING, backbone_from_checkpoint


def test_a_backbone_starts_from_imported_weights(tmp_path):
    import_release(write_release(tmp_path / "released"), tmp_path / "ours")
    vocabulary = read_checkpoint(tmp_path / "ours").vocabulary
    chosen = [vocabulary.ids[NAMES.index(symbol)] for symbol in ("LYZ", "CD3E")]
    part = vocabulary.subset(chosen)
    assert part.symbols == ("<pad>", "<cls>", "<eoc>", "CD3E", "LYZ")
    state = backbone_from_checkpoint(str(tmp_path / "ours"), part, n_bins=51).state_dict()
    rows = torch.tensor([NAMES.index(symbol) for symbol in part.symbols])
    released = random_state()
    assert torch.equal(state[EMBEDDING], released["encoder.embedding.weight"][rows])
    assert torch.equal(state["input_norm.running_var"], released["bn.running_var"])


def test_other_bins_than_the_checkpoints_are_refused(tmp_path):
    import_release(write_release(tmp_path / "released"), tmp_path / "ours")
    vocabulary = read_checkpoint(tmp_path / "ours").vocabulary
    with pytest.raises(UserError, match="checkpoint-bins"):
        backbone_from_checkpoint(str(tmp_path / "ours"), vocabulary, n_bins=31)
