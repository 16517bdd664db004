"""An annotator that many processes run over a query says the same to the bit, and goes on after a kill."""

import json

import anndata as ad
import numpy as np
import pytest
from tests.cli import entered

from sc_mamba2.cells import simulate_cells, standardise
from sc_mamba2.errors import UserError
from sc_mamba2.genes import load_gene_table
from sc_mamba2.tasks.annotation.fit import attach_head
from sc_mamba2.tasks.annotation.params import HeadParams, LabelParams
from sc_mamba2.tasks.annotation.split import hold_out
from sc_mamba2.tasks.shared import prediction, worker_processes
from sc_mamba2.tasks.shared.backbone import load_or_build_backbone, predict
from sc_mamba2.tasks.shared.block_job import work
from sc_mamba2.tasks.shared.params import (
    BackboneParams,
    BlockLaunchParams,
    PredictParams,
    TokenizationParams,
)
from sc_mamba2.tasks.shared.prediction import PredictJob
from sc_mamba2.tasks.shared.tokenization import fit_tokenizer, tokenize_cells
from sc_mamba2.training import ComputeOptions

COMPUTE, LABELS, FEW = (
    ComputeOptions(device="cpu"),
    LabelParams(key="cell_type"),
    PredictParams(batch_size=4),
)


@pytest.fixture(scope="module")
def inputs():
    """Give a model with all its paths, and cells of many lengths."""
    cells, _ = standardise(simulate_cells(60, 80), load_gene_table())
    training, query, _ = hold_out(cells, LABELS, COMPUTE)
    tokenizer = fit_tokenizer(training, query, TokenizationParams())
    tokens = tokenize_cells(training, tokenizer)
    backbone = load_or_build_backbone(tokenizer, tokens, BackboneParams(), COMPUTE)
    head = HeadParams(paths=("trunk", "pooled"), fit="network")
    model = attach_head(backbone, tokenizer, tokens, head, LABELS, COMPUTE).eval()
    return model, tokens


def test_two_processes_are_one_and_what_is_there_is_kept(inputs, tmp_path, monkeypatch):
    monkeypatch.setattr(prediction, "_BATCHES_PER_BLOCK", 2)
    calls = []

    def run(module, job, processes, on_poll):
        assert module == PredictJob.worker
        calls.append(len(PredictJob.read(job).starts))
        for rank in range(processes - (len(calls) == 1)):  # the first time one of them is killed
            monkeypatch.setenv("RANK", str(rank))
            monkeypatch.setenv("WORLD_SIZE", str(processes))
            assert work(PredictJob, [str(job)]) == 0

    monkeypatch.setattr(worker_processes, "run_processes", run)
    launch = BlockLaunchParams(processes=2, blocks=str(tmp_path / "blocks"))
    with pytest.raises(UserError, match="blocks-missing"):
        predict(*inputs, FEW, COMPUTE, launch)
    found, one = predict(*inputs, FEW, COMPUTE, launch), predict(*inputs, FEW, COMPUTE)
    assert found.keys() == one.keys() and all(
        np.array_equal(found[name], one[name]) for name in one
    )
    assert all(found[name].dtype == one[name].dtype for name in one)
    blocks = -(-len(inputs[1]) // 8)
    assert calls == [blocks, blocks // 2]
    predict(*inputs, FEW, COMPUTE, launch)
    assert len(calls) == 2  # nothing is left to do
    predict(inputs[0], inputs[1].take(np.arange(20)), FEW, COMPUTE, launch)
    assert calls[2:] == [3]  # other cells: anew


@pytest.mark.slow
def test_the_verb_says_the_same_with_two_processes(tmp_path):
    reference, query = simulate_cells(120, 200), simulate_cells(60, 200, seed=1)
    for name, cells in (("ref", reference), ("query", query)):
        cells.write_h5ad(tmp_path / f"{name}.h5ad")
    words = ("annotate", tmp_path / "query.h5ad")
    learn = ("-r", tmp_path / "ref.h5ad", "-k", "cell_type", "--start", "scm-tiny")
    entered(*words, *learn, "-o", tmp_path / "fit.h5ad")
    trained = (*words, "-c", tmp_path / "fit.scm" / "checkpoint")
    entered(*trained, "-o", tmp_path / "one.h5ad")
    entered(*trained, "-o", tmp_path / "two.h5ad", "--nproc", 2)
    one, two = (ad.read_h5ad(tmp_path / f"{name}.h5ad") for name in ("one", "two"))
    assert np.array_equal(one.obsm["X_scm"], two.obsm["X_scm"])
    assert one.obs.equals(two.obs)
    said = [
        json.loads((tmp_path / f"{name}.scm/metrics.json").read_text())["model"]
        for name in ("one", "two")
    ]
    assert said[0] == said[1] and not list(tmp_path.glob(".*"))
