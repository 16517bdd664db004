"""The judge of count splitting: every number against a slow twin, in double precision."""

import numpy as np
import pytest
import torch
from tests.training.corpora import small_job, write_store

from sc_mamba2.model.molecules import shift_to_means
from sc_mamba2.tokens import TokenStore
from sc_mamba2.training.molecules_held_out import HALF, PHIS, molecules_held_out
from sc_mamba2.training.ranks import Ranks
from sc_mamba2.training.recipes import LeftOutMolecules

ALONE = Ranks(0, 1, torch.device("cpu"))


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    store = TokenStore.open(write_store(folder / "store", "molecules"))
    job = small_job(store.folder, folder / "run", held_out={"values": ("d", "b")})
    return LeftOutMolecules(job, store, ALONE)


@pytest.fixture
def objective(recipe):
    torch.manual_seed(0)
    objective = recipe.objective(recipe.new_model()).double()
    with torch.no_grad():
        for part in objective.model.molecule_decoder.parameters():
            part.normal_(std=0.1)
    return objective


def cells_of(recipe, objective, study):
    """Log rates, log phi, kept and left counts of a study's cells, each cell computed alone."""
    parts = []
    for cell in recipe.judged[study]:
        batch = recipe.held_out.load(np.array([cell]), 0)
        assert not batch.known_B.any() and batch.read_B.equal(batch.lengths_B)
        with torch.no_grad():
            found = objective(batch)
        kept, left = np.zeros((2, objective.measured_SV.shape[1]))
        for gene, count in zip(batch.token_ids_BL[0], batch.counts_BL[0], strict=True):
            kept[gene] += max(float(count), 0)
        for gene, count in zip(batch.left_ids_BO[0], batch.left_BO[0], strict=True):
            left[gene] += float(count)
        parts.append((found.log_rates_BV[0].numpy(), found.log_phi_BV[0].numpy(), kept, left))
    return [np.array(column) for column in zip(*parts, strict=True)]


def slow_nats(rates, left):
    """Nats a molecule, over all molecules of all cells."""
    told = sum(
        -many * np.log(rates[cell, gene])
        for cell, row in enumerate(left)
        for gene, many in enumerate(row)
        if many
    )
    return told / left.sum()


def slow_posterior(rates, phi, kept):
    found = rates * (phi + kept) / (phi + kept.sum(axis=1, keepdims=True) * rates)
    return found / found.sum(axis=1, keepdims=True)


def slow_means(recipe, kept, study):
    """Shares of the molecules kept of a study, half a molecule more for every gene that it measured."""
    own = (kept.sum(axis=0) + HALF) * recipe.measured_SV[recipe.names.index(study)]
    return own / own.sum()


def slow_judge(recipe, objective, study):
    log_rates, log_phi, kept, left = cells_of(recipe, objective, study)
    own = slow_means(recipe, kept, study)
    rates, phi = np.exp(log_rates), np.exp(log_phi)
    moved = rates.copy()
    weights = kept.sum(axis=1, keepdims=True) / kept.sum()
    farthest = 1.0
    while farthest >= 1e-4:
        mean = (moved * weights).sum(axis=0)
        factor = np.divide(own, mean, out=np.ones_like(own), where=mean > 0)
        moved = moved * factor
        moved = moved / moved.sum(axis=1, keepdims=True)
        farthest = np.abs(np.log(factor)).max()
    means = np.tile(own, (len(kept), 1))
    return {
        "plain": slow_nats(rates, left),
        "posterior": slow_nats(slow_posterior(rates, phi, kept), left),
        "own_plain": slow_nats(moved, left),
        "own_posterior": slow_nats(slow_posterior(moved, phi, kept), left),
        "means_plain": slow_nats(means, left),
        "means_posterior": min(slow_nats(slow_posterior(means, p, kept), left) for p in PHIS),
    }


@pytest.mark.parametrize("together", [3, 64])
def test_every_number_is_that_of_the_slow_twin(recipe, objective, together):
    objective.train()
    judged = molecules_held_out(objective, recipe.held_out, recipe.judged, together, ALONE)
    assert objective.training
    objective.eval()
    slow = {study: slow_judge(recipe, objective, study) for study in ("d", "b")}
    wanted = {f"{kind}/{study}": row[kind] for study, row in slow.items() for kind in row}
    wanted |= {kind: (slow["d"][kind] + slow["b"][kind]) / 2 for kind in slow["d"]}
    assert judged.named == pytest.approx(wanted, rel=1e-9)
    assert judged.loss == judged.named["own_posterior"]
    assert len(set(judged.named.values())) == len(wanted)


def test_a_study_is_moved_to_its_own_gene_means(recipe, objective):
    log_rates, _, kept, _ = cells_of(recipe, objective.eval(), "d")
    own, measured = slow_means(recipe, kept, "d"), recipe.measured_SV[recipe.names.index("d")]
    log_own = torch.from_numpy(np.log(own, out=np.full_like(own, -np.inf), where=own > 0))
    rates = torch.from_numpy(log_rates)
    shift = shift_to_means(rates, torch.from_numpy(kept.sum(axis=1)), log_own)
    moved = (rates + shift).softmax(1).numpy()
    weights = kept.sum(axis=1) / kept.sum()
    before, after = (weights @ rates for rates in (np.exp(log_rates), moved))
    assert np.abs(before / np.maximum(own, 1e-9) - 1)[measured].max() > 0.1
    np.testing.assert_allclose(after[measured], own[measured], rtol=1e-4)
    np.testing.assert_allclose(moved.sum(axis=1), 1, rtol=1e-12)
    assert (moved[:, ~measured] == 0).all()
    # One shift a gene for all cells: what tells two cells apart is as it was, up to a number a cell.
    change = np.log(moved[:, measured]) - log_rates[:, measured]
    assert np.abs(np.diff(change - change.mean(axis=1, keepdims=True), axis=0)).max() < 1e-9


def test_a_model_that_predicts_the_gene_means_has_their_nats(recipe, objective):
    _, _, kept, _ = cells_of(recipe, objective, "d")
    own = slow_means(recipe, kept, "d")
    decoder, found = objective.model.molecule_decoder, []
    judged = {"d": recipe.judged["d"]}
    for phi in PHIS:
        with torch.no_grad():
            for part in decoder.parameters():
                part.zero_()
            decoder.rates.bias.copy_(torch.from_numpy(np.log(np.maximum(own, 1e-9))))
            decoder.phi_V.fill_(np.log(phi))
        found.append(molecules_held_out(objective, recipe.held_out, judged, 16, ALONE).named)
        for kind in ("plain", "posterior"):
            assert found[-1][kind] == pytest.approx(found[-1][f"own_{kind}"], rel=1e-9)
        assert found[-1]["plain"] == pytest.approx(found[-1]["means_plain"], rel=1e-9)
    best = min(one["posterior"] for one in found)
    assert best == pytest.approx(found[0]["means_posterior"], rel=1e-9)
