"""A task can start from imported weights, with a part of their vocabulary."""

import pytest
import torch
from tests.released import NAMES, random_state, write_release

from sc_mamba2.errors import UserError
from sc_mamba2.model import read_checkpoint
from sc_mamba2.model.upstream import import_release
from sc_mamba2.tasks.shared.checkpoint_backbone import EMBEDDING, backbone_from_checkpoint
from sc_mamba2.tasks.shared.params import TokenizationParams
from sc_mamba2.tasks.shared.tokenization import token_rules
from sc_mamba2.tokens import TokenizerRules


def test_a_backbone_starts_from_imported_weights(tmp_path):
    import_release(write_release(tmp_path / "released"), tmp_path / "ours")
    vocabulary = read_checkpoint(tmp_path / "ours").vocabulary
    chosen = [vocabulary.ids[NAMES.index(symbol)] for symbol in ("LYZ", "CD3E")]
    part = vocabulary.subset(chosen)
    assert part.symbols == ("<pad>", "<cls>", "<eoc>", "CD3E", "LYZ")
    state = backbone_from_checkpoint(str(tmp_path / "ours"), part, TokenizerRules()).state_dict()
    rows = torch.tensor([NAMES.index(symbol) for symbol in part.symbols])
    released = random_state()
    assert torch.equal(state[EMBEDDING], released["encoder.embedding.weight"][rows])
    assert torch.equal(state["input_norm.running_var"], released["bn.running_var"])


def test_other_bins_than_the_checkpoints_are_refused(tmp_path):
    import_release(write_release(tmp_path / "released"), tmp_path / "ours")
    vocabulary = read_checkpoint(tmp_path / "ours").vocabulary
    with pytest.raises(UserError, match="checkpoint-bins"):
        backbone_from_checkpoint(str(tmp_path / "ours"), vocabulary, TokenizerRules(n_bins=31))


def test_tokens_are_as_the_checkpoint_of_their_vocabulary_reads_them():
    rules = token_rules(TokenizationParams(vocabulary="scm-counts", max_length=100))
    assert (rules.bins, rules.n_bins, rules.max_length) == ("counts", 4096, 100)
    assert token_rules(TokenizationParams(n_bins=31)) == TokenizerRules(n_bins=31, max_length=4096)


def test_quantiles_are_not_read_as_counts():
    vocabulary = read_checkpoint("scm-counts").vocabulary
    with pytest.raises(UserError, match=r"checkpoint-bins.*4096 bins of counts"):
        backbone_from_checkpoint("scm-counts", vocabulary, TokenizerRules(n_bins=4096))
