"""Genes that a file lacks: imputed as the model says, judged by hidden ones, apart from what was counted."""

import numpy as np
import pytest
import torch
from tests.tasks.denoising.conftest import COMPUTE, FEW

from sc_mamba2.errors import UserError
from sc_mamba2.tasks.denoising.imputed import impute, judge_imputed
from sc_mamba2.tasks.denoising.predict import write_denoised
from sc_mamba2.tasks.denoising.pretrained import count_tokens, read_molecule_model, read_molecules
from sc_mamba2.tasks.shared.params import IngestionParams

INGESTION = IngestionParams()
METRICS = {
    "run": {},
    "model": {"nats": 4.5},
    "data": {"chosen": {"prior": "svd", "phi": 1.0}, "imputed": {"genes": 2, "level": 0.8}},
}


def output(names):
    return FEW.output.model_copy(update={"imputed_genes": names})


@pytest.fixture(scope="module")
def fewer(prepared):
    """Give counts and genes without the last two that the model knows, and these."""
    counts, genes, _ = prepared
    vocabulary = read_molecule_model(FEW.priors.checkpoint).tokenizer.vocabulary
    hidden = np.flatnonzero(vocabulary.rows_of(genes) >= 0)[-2:]
    kept = np.setdiff1d(np.arange(len(genes)), hidden)
    return counts[:, kept], genes[kept], genes[hidden]


@pytest.fixture(scope="module")
def imputed(fewer):
    counts, genes, hidden = fewer
    return impute(counts, genes, output(",".join(hidden)), FEW.priors, INGESTION, COMPUTE)


def test_rates_are_the_model_s_over_those_of_the_genes_that_were_read(fewer, imputed):
    counts, genes, hidden = fewer
    model = read_molecule_model(FEW.priors.checkpoint)
    rows = model.tokenizer.vocabulary.rows_of(np.r_[genes, hidden])
    cells = np.array([3])
    logits = read_molecules(model, count_tokens(model, counts, genes), cells).logits_BV[0]
    rates = logits.double().exp()
    known = rows[: len(genes)][rows[: len(genes)] >= 0]
    expected = 1e4 * rates[torch.from_numpy(rows[-2:])] / rates[torch.from_numpy(known)].sum()
    assert imputed.names == tuple(hidden) and imputed.values_NF.dtype == np.float32
    assert imputed.values_NF[3] == pytest.approx(expected.numpy(), rel=1e-4)


def test_they_are_judged_by_genes_that_were_hidden(prepared, imputed):
    counts, genes, _ = prepared
    model = read_molecule_model(FEW.priors.checkpoint)
    judged = judge_imputed(model, counts, genes, 0)
    assert judged == judge_imputed(model, counts, genes, 0)
    assert judged["hidden_genes"] >= 1 and -1 <= judged["level"] <= 1
    assert imputed.judged["hidden_genes"] > 0


def test_they_stand_apart_from_what_was_counted(read, prepared, imputed):
    raw, _, report = read
    rates = np.ones((90, prepared[2].width), dtype=np.float32)
    cells = write_denoised(raw, rates, imputed, prepared[2], METRICS, report, {"run_id": "now"})
    assert list(cells.obsm["scm_imputed"]) == list(imputed.names)
    assert cells.layers["scm_denoised"].shape == raw.shape
    assert cells.uns["scm"]["imputed"] == {"genes": 2, "level": 0.8}


def test_none_are_imputed_unasked(prepared):
    nothing = impute(*prepared[:2], FEW.output, FEW.priors, INGESTION, COMPUTE)
    assert nothing.names == () and nothing.values_NF.shape == (90, 0) and nothing.judged == {}


@pytest.mark.parametrize(
    ("names", "word"),
    [
        ("NOGENE1", "does not know: NOGENE1"),
        ("{first}", "genes that the file has"),
        (",", "no file"),
    ],
)
def test_what_cannot_be_imputed_is_refused(prepared, names, word):
    counts, genes, _ = prepared
    vocabulary = read_molecule_model(FEW.priors.checkpoint).tokenizer.vocabulary
    first = genes[vocabulary.rows_of(genes) >= 0][0]
    with pytest.raises(UserError, match=word) as refused:
        impute(counts, genes, output(names.format(first=first)), FEW.priors, INGESTION, COMPUTE)
    assert refused.value.rule == ("genes-file" if names == "," else "impute-genes")
