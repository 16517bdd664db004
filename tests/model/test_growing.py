"""A grown backbone is the old one: every tensor, and every output of cells of old tokens, bit for bit."""

import pytest
import torch

from sc_mamba2.model import Backbone, grow_backbone, load_state, preset, read_checkpoint
from sc_mamba2.tasks.shared.checkpoint_backbone import whole_backbone

EMBEDDING = "gene_encoder.embedding.weight"
NEW = {"token_kinds.kind_of_token_V", "token_kinds.embedding.weight"}


def grown_from(backbone: Backbone, more: int = 7) -> Backbone:
    size = backbone.config.vocabulary_size
    return grow_backbone(backbone, torch.tensor([1] * size + [2] * more), 4)


@pytest.mark.parametrize("source", ["micro", "scm-tiny"])
def test_every_tensor_of_the_old_one_is_in_the_grown_one(source):
    fresh = source == "micro"
    backbone = Backbone(preset("micro", 20)) if fresh else whole_backbone(read_checkpoint(source))
    grown = grown_from(backbone)
    before, after = backbone.state_dict(), grown.state_dict()
    assert after.keys() - before.keys() == NEW and before.keys() <= after.keys()
    equal = [
        name for name in before if name != EMBEDDING and torch.equal(before[name], after[name])
    ]
    assert len(equal) == len(before) - 1
    size = backbone.config.vocabulary_size
    assert torch.equal(after[EMBEDDING][:size], before[EMBEDDING])
    assert (after[EMBEDDING][size:].std(dim=1) > 0).all()


def test_a_cell_of_old_tokens_gives_what_it_gave_bit_for_bit():
    backbone = whole_backbone(read_checkpoint("scm-tiny"))
    grown = grown_from(backbone).eval()
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(2, 17000, (3, 40), generator=generator)
    ids[:, 0] = 1
    bins = torch.randint(1, 51, (3, 40), generator=generator).float()
    lengths = torch.tensor([40, 31, 7])
    with torch.no_grad():
        assert torch.equal(grown(ids, bins, lengths), backbone(ids, bins, lengths))
        grown.token_kinds.embedding.weight[1] = 1.0
        assert not torch.equal(grown(ids, bins, lengths), backbone(ids, bins, lengths))


def test_a_grown_backbone_can_be_stored_and_read():
    grown = grown_from(Backbone(preset("micro", 20)))
    again = Backbone(grown.config)
    load_state(again, grown.state_dict())
    assert torch.equal(again.token_kinds.kind_of_token_V, grown.token_kinds.kind_of_token_V)
