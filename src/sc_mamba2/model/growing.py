"""A backbone with more tokens than it was trained with: new rows, and every old tensor as it was."""

import torch

from sc_mamba2.model.backbone import Backbone


def grow_backbone(backbone: Backbone, kind_of_token: torch.Tensor, n_kinds: int) -> Backbone:
    """Return a backbone with rows for new tokens behind the old ones, and an embedding a kind of token.

    The embedding of the kinds starts at zero, so that a cell of old tokens alone gives what it gave,
    bit for bit. New rows start as those of any fresh backbone.

    Parameters
    ----------
    backbone
        With V rows; not changed.
    kind_of_token
        (W,) int64, W >= V, 0 to `n_kinds` - 1: the kind of every token, old ones first.
    n_kinds
        Kinds of tokens, such as modalities.
    """
    old = backbone.config
    config = old.model_copy(update={"vocabulary_size": len(kind_of_token), "token_kinds": n_kinds})
    grown = Backbone(config)
    grown.scan_path, grown.recompute_layers = backbone.scan_path, backbone.recompute_layers
    state = dict(backbone.state_dict())
    name = "gene_encoder.embedding.weight"
    with torch.no_grad():
        rows = grown.gene_embedding.weight.detach().clone()
        rows[: old.vocabulary_size] = state[name]
    assert grown.token_kinds is not None
    state[name] = rows
    state["token_kinds.kind_of_token_V"] = kind_of_token
    state["token_kinds.embedding.weight"] = torch.zeros_like(grown.token_kinds.embedding.weight)
    grown.load_state_dict(state, strict=True)
    return grown
