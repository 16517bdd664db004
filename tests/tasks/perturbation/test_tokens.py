import numpy as np
import torch

from sc_mamba2.tasks.perturbation.tokens import NO_GENE, with_perturbed_genes
from sc_mamba2.tokens import Batch
from sc_mamba2.tokens.batches import PAD_BIN

PAD, CLS = 0, 1


def batch(rows: list[list[int]]) -> Batch:
    width = max(map(len, rows))
    ids = torch.tensor([row + [PAD] * (width - len(row)) for row in rows])
    bins = torch.where(ids == PAD, PAD_BIN, torch.where(ids == CLS, 0.0, ids.float()))
    values = torch.where(bins > 0, bins / 10, 0.0)
    lengths = torch.tensor([len(row) for row in rows])
    return Batch(ids, bins, values, lengths, torch.arange(len(rows)))


def test_perturbed_genes_are_always_there_in_their_place():
    cells = batch([[CLS, 3, 5, 9], [CLS, 4], [CLS, 2, 7]])
    genes = torch.tensor([[5, 6], [8, NO_GENE], [NO_GENE, NO_GENE]])
    found, perturbed = with_perturbed_genes(cells, genes, PAD)
    assert found.token_ids_BL.tolist() == [[1, 3, 5, 6, 9], [1, 4, 8, 0, 0], [1, 2, 7, 0, 0]]
    assert found.lengths_B.tolist() == [5, 3, 3]
    assert perturbed.tolist() == [[0, 0, 1, 1, 0], [0, 0, 1, 0, 0], [0] * 5]
    assert found.bins_BL.tolist()[0] == [0, 3, 5, 0, 9]
    assert found.bins_BL.tolist()[1] == [0, 4, 0, PAD_BIN, PAD_BIN]
    np.testing.assert_allclose(found.values_BL[0].numpy(), [0, 0.3, 0.5, 0, 0.9], rtol=1e-6)


def test_a_gene_that_is_named_twice_is_there_once():
    found, perturbed = with_perturbed_genes(batch([[CLS, 3]]), torch.tensor([[4, 4]]), PAD)
    assert found.token_ids_BL.tolist() == [[1, 3, 4]] and perturbed.sum() == 1
