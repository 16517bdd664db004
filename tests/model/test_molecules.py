"""Count splitting: rates, posterior and losses against slow twins, in double precision."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse

from sc_mamba2.genes import Vocabulary
from sc_mamba2.methods.molecules import posterior_rates
from sc_mamba2.model import Backbone, Heads, PretrainedModel, preset
from sc_mamba2.model.molecule_objective import MoleculeObjective
from sc_mamba2.model.molecules import posterior_log_rates
from sc_mamba2.model.options import MoleculeOptions
from sc_mamba2.tokens import ThinningOptions, Tokenizer, TokenizerRules, thin_batch

GENES, CELLS = 30, 6
NAMES = ("<pad>", "<cls>", *(f"g{n}" for n in range(GENES)))
COUNTS = np.random.default_rng(0).poisson(1.5, (CELLS, GENES))
COUNTS[:, 0] = 1
STUDIES, TYPES = np.array([0, 0, 1, 1, 2, 2]), np.array([0, 1, 2, -1, 0, 1])
MEASURED = np.zeros((3, len(NAMES)), bool)
MEASURED[:, 2:] = True
MEASURED[2, 20:] = False
COUNTS[4:, 18:] = 0
IS = np.array([[1, 0, 0], [1, 1, 0], [0, 0, 1]], bool)
KNOWN = np.array([[1, 0, 1], [1, 1, 1], [1, 1, 1]], bool)


@pytest.fixture
def objective():
    torch.manual_seed(0)
    rules = TokenizerRules(bins="counts", n_bins=4096)
    tokenizer = Tokenizer(Vocabulary("thirty", NAMES, NAMES), rules)
    backbone = Backbone(preset("micro", len(NAMES), value_encoder="counts", n_bins=4096))
    heads = Heads(
        expression=False, cell_expression=False, molecules=True, studies=2, types=("a", "b", "c")
    )
    model = PretrainedModel(backbone, tokenizer, heads)
    with torch.no_grad():
        for part in model.molecule_decoder.parameters():
            part.normal_(std=0.3)
    tables = map(torch.from_numpy, (MEASURED, IS, KNOWN))
    return MoleculeObjective(model, MoleculeOptions(), *tables).double().eval()


def batch_of(objective, cells=range(CELLS), **options):
    tokenizer = objective.model.tokenizer
    depth = COUNTS.sum(axis=1, keepdims=True)
    values = sparse.csr_matrix(np.log1p(1e4 * COUNTS / depth).astype(np.float32))
    tokens = tokenizer.tokenize(values, np.array(NAMES[2:]), pd.DataFrame(index=range(CELLS)))
    rules = ThinningOptions(**options)
    vocabulary = tokenizer.vocabulary
    return thin_batch(tokens, np.asarray(cells), vocabulary, rules, 0, 0, STUDIES, TYPES)


def slow_losses(objective, batch):
    """Add up the three losses, cell by cell, gene by gene."""
    model = objective.model
    decoder = model.molecule_decoder
    hidden = model.backbone(
        batch.token_ids_BL, batch.counts_BL, batch.lengths_B, read_B=batch.read_B
    )
    sums = torch.zeros(3, dtype=torch.float64)
    for row in range(len(batch.cells_B)):
        z, study = hidden[row, 0], int(batch.studies_B[row])
        logits = decoder.rates.weight @ z + decoder.rates.bias
        phi = decoder.phi_cell(z)
        log_phi = decoder.phi_V + phi[0] + phi[1:] @ decoder.phi_RV
        if batch.known_B[row]:
            logits = logits + decoder.study_SV[study]
        for place in range(1, int(batch.read_B[row])):
            seen = decoder.token_hidden(hidden[row, place]) + decoder.token_cell(z)
            a, f = decoder.token(torch.nn.functional.gelu(seen))
            gene = torch.nn.functional.one_hot(batch.token_ids_BL[row, place], len(NAMES))
            logits, log_phi = logits + a * gene, log_phi + f * gene
        genes = np.flatnonzero(MEASURED[study])
        rates = logits[genes].softmax(0)
        kept, left = torch.zeros(2, len(NAMES), dtype=torch.float64)
        for place in range(1, int(batch.lengths_B[row])):
            kept[batch.token_ids_BL[row, place]] = float(batch.counts_BL[row, place])
        for gene, many in zip(batch.left_ids_BO[row], batch.left_BO[row], strict=True):
            left[gene] += float(many)
        kept, left = kept[genes], left[genes]
        shape = log_phi[genes].exp()
        posterior = rates * (shape + kept) / (shape + kept.sum() * rates)
        posterior = posterior / posterior.sum()
        for at, told in enumerate((rates, posterior)):
            sums[at] -= (left * told.log()).sum() / left.sum().clamp(min=1)
        if (kind := int(batch.types_B[row])) >= 0:
            told = torch.sigmoid(model.type_decoder(z))
            known = KNOWN[kind]
            wanted = torch.tensor(IS[kind]).double()
            loss = -(wanted * told.log() + (1 - wanted) * (1 - told).log())
            sums[2] += loss[known].mean()
    return sums


@pytest.mark.parametrize("options", [{"read_tokens": 4}, {"study_dropout": 0.0}])
def test_the_losses_are_those_of_the_formulas(objective, options):
    # Studies 0 and 1 have rows; the cells of study 2 are those of one that was held out.
    cells = range(4) if "study_dropout" in options else range(CELLS)
    batch = batch_of(objective, cells, **{"study_dropout": 1.0, **options})
    found = objective(batch)
    torch.testing.assert_close(found.sums_O, slow_losses(objective, batch), rtol=1e-10, atol=1e-10)


def test_losses_are_sums_over_the_cells_however_they_are_divided(objective):
    whole = objective(batch_of(objective, range(4))).sums_O
    parts = sum(objective(batch_of(objective, [cell])).sums_O for cell in range(4))
    torch.testing.assert_close(whole, parts, rtol=1e-10, atol=1e-10)
    assert objective.target_counts(batch_of(objective)).tolist() == [CELLS, CELLS, CELLS - 1]
    silent = batch_of(objective).without_targets()
    assert objective(silent).sums_O.tolist() == [0, 0, 0]
    assert objective.target_counts(silent).tolist() == [0, 0, 0]


def test_the_posterior_is_that_of_the_methods():
    draw = np.random.default_rng(0)
    prior, counts = draw.dirichlet(np.ones(9), 4), draw.poisson(2.0, (4, 9)).astype(float)
    log_phi = torch.full((4, 9), np.log(2.5), dtype=torch.float64)
    found = posterior_log_rates(torch.from_numpy(prior).log(), log_phi, torch.from_numpy(counts))
    np.testing.assert_allclose(found.exp(), posterior_rates(prior, counts, 2.5), rtol=1e-12)


def test_a_gene_that_was_not_measured_has_no_rate_and_no_gradient_that_is_not_finite(objective):
    batch = batch_of(objective, study_dropout=1.0)
    found = objective(batch)
    assert (found.log_rates_BV[4:, 22:] > -torch.inf).sum() == 0
    assert torch.isinf(found.log_rates_BV[:, :2]).all()  # <pad> and <cls>
    objective.weighted_sum(found.sums_O).backward()
    parameters = dict(objective.named_parameters())
    assert [name for name, part in parameters.items() if part.grad is None] == []
    assert all(torch.isfinite(part.grad).all() for part in parameters.values())


def test_the_gradient_is_that_of_differences(objective):
    batch = batch_of(objective, [0, 2])
    bias = objective.model.molecule_decoder.phi_V

    def loss(phi_V):
        with torch.no_grad():
            bias.copy_(phi_V)
        return objective.weighted_sum(objective(batch).sums_O)

    start = bias.detach().clone()
    loss(start).backward()
    for gene in (2, 9, 25):
        step = torch.zeros_like(start)
        step[gene] = 1e-5
        slope = (loss(start + step) - loss(start - step)) / 2e-5
        assert float(bias.grad[gene]) == pytest.approx(slope.item(), rel=1e-5, abs=1e-9)
