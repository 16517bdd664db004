import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, strategies as st
from scipy import sparse

from sc_mamba2.genes import Vocabulary
from sc_mamba2.tokens import (
    KINDS,
    Tokenizer,
    TokenizerRules,
    grown_vocabulary,
    join_tokens,
    kinds_of,
    make_batch,
    visible_part,
)

GENES = Vocabulary("some", ("<pad>", "<cls>", "g1", "g2", "g3"), ("<pad>", "<cls>", "A", "B", "C"))
JOINT = grown_vocabulary(
    GENES, ["protein:CD3", "protein:CD4", "peak:chr1:1-9"], ["CD3", "CD4", "x"]
)
PARTS = {
    "rna": np.array(["g1", "g2", "g3"]),
    "protein": np.array(["protein:CD3", "protein:CD4"]),
    "atac": np.array(["peak:chr1:1-9"]),
}


def joined(seed: int, cells: int = 5):
    generator = np.random.default_rng(seed)
    obs = pd.DataFrame(index=[f"c{n}" for n in range(cells)])
    tokenizer = Tokenizer(JOINT, TokenizerRules())
    parts = {}
    for kind, ids in PARTS.items():
        dense = generator.random((cells, len(ids))) * (generator.random((cells, len(ids))) < 0.7)
        parts[kind] = tokenizer.tokenize(sparse.csr_matrix(dense.astype(np.float32)), ids, obs)
    return join_tokens(list(parts.values()), obs), parts


def test_a_token_belongs_to_one_modality_by_its_id():
    assert JOINT.ids[: GENES.size] == GENES.ids
    assert [KINDS[kind] for kind in kinds_of(JOINT)] == [
        *["special"] * 2, *["rna"] * 3, *["protein"] * 2, "atac",
    ]  # fmt: skip


@given(st.integers(0, 200))
def test_joined_cells_hold_the_tokens_of_each_part_in_turn(seed):
    tokens, parts = joined(seed)
    for cell in range(len(tokens)):
        own = tokens.gather(np.array([cell]))
        for name in ("gene_rows", "bins", "values"):
            expected = [getattr(part.gather(np.array([cell])), name) for part in parts.values()]
            assert getattr(own, name).tolist() == np.concatenate(expected).tolist()
    assert (
        np.diff(tokens.gene_rows)[np.diff(np.repeat(np.arange(5), tokens.lengths)) == 0] > 0
    ).all()


@pytest.mark.parametrize("seed", range(3))
def test_a_view_is_the_cell_that_never_had_the_rest(seed):
    tokens, parts = joined(seed)
    batch = make_batch(tokens, np.arange(5), JOINT)
    visible = torch.zeros(5, len(KINDS), dtype=torch.bool)
    visible[:, KINDS.index("protein")] = True
    found = visible_part(batch, torch.from_numpy(kinds_of(JOINT)), visible, JOINT.pad_id)
    expected = make_batch(parts["protein"], np.arange(5), JOINT)
    for name in ("token_ids_BL", "bins_BL", "values_BL", "lengths_B", "cells_B"):
        assert torch.equal(getattr(found, name), getattr(expected, name)), name
    visible[:] = True
    whole = visible_part(batch, torch.from_numpy(kinds_of(JOINT)), visible, JOINT.pad_id)
    assert torch.equal(whole.token_ids_BL, batch.token_ids_BL)
