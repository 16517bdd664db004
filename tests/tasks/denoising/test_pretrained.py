"""Rates that a pretrained model predicts: by its own formula, at the cells' gene means, with neighbours."""

import numpy as np
import pytest
import torch
from tests.tasks.denoising.conftest import COMPUTE, FEW

from sc_mamba2.errors import UserError
from sc_mamba2.genes import load_vocabulary
from sc_mamba2.methods.gene_priors import NearestCells, gene_means
from sc_mamba2.methods.molecules import posterior_rates, rates_by_block
from sc_mamba2.model import Backbone, Heads, PretrainedModel, preset
from sc_mamba2.tasks.denoising.choose import choose, chosen_method, judge
from sc_mamba2.tasks.denoising.predict import denoise
from sc_mamba2.tasks.denoising.pretrained import (
    PretrainedRates,
    read_molecule_model,
)
from sc_mamba2.tasks.denoising.priors import candidates
from sc_mamba2.tokens import Tokenizer, TokenizerRules

UNKNOWN = 7  # genes of the cells that the model does not know


def new_model(genes):
    torch.manual_seed(0)
    vocabulary = load_vocabulary("gencode-v44").subset(["<pad>", "<cls>", *genes])
    rules = TokenizerRules(bins="counts", n_bins=4096)
    shape = {"value_encoder": "counts", "n_bins": 4096, "pad_id": vocabulary.pad_id}
    backbone = Backbone(preset("micro", vocabulary.size, **shape))
    heads = Heads(expression=False, cell_expression=False, molecules=True)
    model = PretrainedModel(backbone, Tokenizer(vocabulary, rules), heads)
    with torch.no_grad():
        for part in model.molecule_decoder.parameters():
            part.normal_(std=0.2)
    return model.eval()


@pytest.fixture(scope="module")
def folder(prepared, tmp_path_factory):
    folder = tmp_path_factory.mktemp("model") / "model"
    new_model(prepared[1][UNKNOWN:]).save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def rates(prepared, folder):
    counts, genes, _ = prepared
    near = NearestCells(counts, 5, 15)
    return PretrainedRates(read_molecule_model(folder), counts, genes, near, 512, "cpu")


def test_the_mean_rate_is_the_gene_mean(prepared, rates):
    counts = prepared[0]
    prior = rates(np.arange(90)).astype(np.float64)
    assert prior.sum(axis=1) == pytest.approx(1, rel=1e-5) and (prior > 0).all()
    molecules = np.asarray(counts.sum(axis=1)).ravel()
    means = gene_means(counts)
    assert molecules @ prior / molecules.sum() == pytest.approx(means, rel=1e-3)
    assert prior[:, :UNKNOWN] == pytest.approx(np.tile(means[:UNKNOWN], (90, 1)), rel=1e-5)
    assert np.ptp(np.log(prior[:, UNKNOWN:]), axis=0).max() > 0.1  # cells differ


def test_the_shift_looks_at_cells_from_all_over_the_file(prepared, folder):
    # Files often lie in the order of donors or types: the first cells are of one kind.
    asked = []

    class Noting(PretrainedRates):
        def _predict(self, rows_B):
            asked.append(rows_B.tolist())
            return super()._predict(rows_B)

    counts, genes, _ = prepared
    Noting(read_molecule_model(folder), counts, genes, NearestCells(counts, 5, 15), 30, "cpu")
    assert asked == [list(range(0, 90, 3))]


def test_rates_of_a_cell_are_those_of_the_model(prepared, folder, rates):
    counts, genes, _ = prepared
    model = read_molecule_model(folder)
    row = counts[3].toarray()[0]
    ids = model.tokenizer.vocabulary.rows_of(genes)
    seen = np.flatnonzero((row > 0) & (ids >= 0))
    seen = seen[np.argsort(ids[seen])]
    tokens = torch.from_numpy(np.concatenate([[model.tokenizer.vocabulary.cls_id], ids[seen]]))
    values = torch.from_numpy(np.concatenate([[0], row[seen]]).astype(np.float32))
    with torch.no_grad():
        length = torch.tensor([len(tokens)])
        hidden = model.backbone(tokens[None], values[None], length)
        told = model.molecule_decoder(hidden, tokens[None], torch.ones(1, len(tokens), dtype=bool))
    known = ids[UNKNOWN:]
    # What differs between two cells is the model's alone: the shift is one for all.
    other = rates(np.array([3, 4]))[:, UNKNOWN:].astype(np.float64)
    phi = rates.relative_phi(np.array([3]))[0]
    assert phi[:UNKNOWN] == pytest.approx(np.ones(UNKNOWN))
    expected = told.log_phi_BV[0, known].exp().numpy()
    assert phi[UNKNOWN:] / phi[UNKNOWN] == pytest.approx(expected / expected[0], rel=1e-3)
    logits = told.logits_BV[0, known].numpy() + rates._shift_J
    shares = np.exp(logits - logits.max())
    assert other[0] / other[0].sum() == pytest.approx(shares / shares.sum(), rel=1e-3)


def test_neighbours_are_looked_at_from_these_rates(prepared, rates):
    counts, rows = prepared[0], np.array([0, 11, 50])
    near = NearestCells(counts, 5, 15).sum_near(rows, 5).toarray()
    expected = posterior_rates(rates(rows), near, 2.0)
    assert rates(rows, neighbours=5, kappa=2.0) == pytest.approx(expected, rel=1e-6)


def test_it_is_chosen_judged_and_denoises(prepared, folder):
    names = ("gene_means", "pretrained")
    priors = FEW.priors.model_copy(update={"names": names, "checkpoint": folder})
    counts, genes, written = prepared
    choices = choose(counts, genes, FEW.split, priors, FEW.output, COMPUTE)
    one = choices["pretrained, posterior"]
    judged = judge(counts, genes, choices, FEW.split, priors, FEW.output, COMPUTE)
    assert np.isfinite(judged.nats["pretrained, posterior"]).all()
    only = priors.model_copy(update={"names": ("pretrained",)})
    assert chosen_method(choices, only) == "pretrained, posterior"
    told = denoise(counts, genes, written, choices, only, FEW.output, COMPUTE)
    near = NearestCells(counts, 5, 15)
    prior = PretrainedRates(read_molecule_model(folder), counts, genes, near, 512, "cpu")
    slow = np.zeros((90, counts.shape[1]))
    for places, block in rates_by_block(prior, one, counts, np.arange(90), 32):
        slow[places] = block
    assert told[:, written.places_K] == pytest.approx(1e4 * slow[:, written.genes_K], rel=1e-4)


def test_of_genes_that_the_model_does_not_know_the_neighbours_are_left(prepared, tmp_path):
    counts, genes, _ = prepared
    new_model(genes[:2]).save_pretrained(tmp_path / "model")
    few, others = counts[:, 2:], genes[2:]
    near = NearestCells(few, FEW.priors.components, max(FEW.priors.neighbours))
    priors = FEW.priors.model_copy(
        update={"names": ("pretrained",), "checkpoint": str(tmp_path / "model")}
    )
    prior = candidates(priors)["pretrained"].fit(few, others, COMPUTE)
    rows = np.array([0, 40])
    means = gene_means(few).astype(np.float32)
    assert prior(rows, neighbours=0, kappa=1) == pytest.approx(np.tile(means, (2, 1)), rel=1e-5)
    assert prior(rows, neighbours=5, kappa=2) == pytest.approx(near(rows, 5, 2), rel=1e-6)


def test_a_model_without_the_head_is_refused():
    with pytest.raises(UserError, match=r"checkpoint-heads.*objective=molecules"):
        read_molecule_model("scm-tiny")
