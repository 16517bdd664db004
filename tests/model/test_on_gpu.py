"""A whole model on a CUDA GPU, over the kernels, against the same model on the CPU."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse

import sc_mamba2
from sc_mamba2.model.objective import MaskedObjective, ObjectiveOptions
from sc_mamba2.tokens import MaskOptions, make_batch, mask_tokens

pytestmark = pytest.mark.gpu


def masked_batch(tokenizer):
    """Three cells of about 700, 90 and 2 genes."""
    genes = np.array(tokenizer.vocabulary.ids)
    rows = [
        sparse.random(1, len(genes), share, random_state=seed, dtype=np.float32)
        for seed, share in enumerate((0.04, 0.005, 0.0001))
    ]
    tokens = tokenizer.tokenize(sparse.vstack(rows, "csr"), genes, pd.DataFrame(index=list("abc")))
    batch = make_batch(tokens, np.arange(3), tokenizer.vocabulary)
    return mask_tokens(batch, tokenizer, MaskOptions(left_out=0.5), 0, 0)


def computed(device, path, dtype):
    """Cells, the losses' sums and every gradient of the shipped checkpoint."""
    model = sc_mamba2.from_pretrained("scm-tiny").to(device)
    model.backbone.scan_path = path
    batch = masked_batch(model.tokenizer).to(device)
    objective = MaskedObjective(model, ObjectiveOptions()).eval()
    with torch.autocast(device, torch.bfloat16, enabled=dtype is torch.bfloat16):
        cells = model.backbone.encode(batch.token_ids_BL, batch.inputs_BL, batch.lengths_B)
        sums = objective(batch).sums_O
    objective.weighted_sum(sums / objective.target_counts(batch).clamp(min=1)).backward()
    named = {name: part.grad for name, part in model.named_parameters() if part.grad is not None}
    found = {"cells": cells.detach(), "sums": sums.detach(), **named}
    return {name: part.float().cpu() for name, part in found.items()}


@pytest.mark.parametrize(("dtype", "bound"), [(torch.float32, 1e-3), (torch.bfloat16, 5e-2)])
def test_the_shipped_checkpoint_learns_the_same_on_a_gpu(dtype, bound):
    expected = computed("cpu", "blocked", torch.float32)
    found = computed("cuda", "kernels", dtype)
    assert found.keys() == expected.keys()
    apart = {
        name: float((found[name] - truth).norm() / truth.norm().clamp(min=1e-6))
        for name, truth in expected.items()
    }
    assert max(apart.values()) < bound, sorted(apart.items(), key=lambda pair: -pair[1])[:5]
