"""What is said of a denoising: a gain, none, or a loss; the table and the figures."""

import numpy as np
import pandas as pd
import pytest
from tests.tasks.denoising.conftest import FEW

from sc_mamba2.methods.molecules import PLAIN, Choice
from sc_mamba2.tasks.denoising.choose import Judged
from sc_mamba2.tasks.denoising.evaluate import score
from sc_mamba2.tasks.denoising.figures import calibration_figure, nats_figure
from sc_mamba2.tasks.denoising.imputed import ImputedGenes
from sc_mamba2.tasks.denoising.report import denoising_report, verdict

NOTHING = ImputedGenes((), np.zeros((90, 0)), {})


@pytest.fixture
def metrics(judged, choices, read):
    return score(judged, choices, NOTHING, FEW.priors, read[2], {"run_id": "now"})


def told(nats: dict[str, float], inner: dict[str, float]) -> dict:
    """Return metrics of cells of which each method tells every molecule by so many nats."""
    molecules = np.full(50, 100.0)
    wave = 0.01 * np.sin(np.arange(50))
    cells = {name: molecules * (one + at * wave) for at, (name, one) in enumerate(nats.items())}
    choices = {
        name: Choice(name.partition(",")[0], {}, 1.0 if "," in name else PLAIN, inner.get(name, 9))
        for name in nats
    }
    judged = Judged(cells, molecules, pd.DataFrame())
    return score(
        judged,
        choices,
        NOTHING,
        FEW.priors.model_copy(
            update={"names": tuple(name.partition(",")[0] for name in nats if "," in name)}
        ),
        {"cells": 50},
        {},
    )


def test_cells_of_types_gain_by_their_neighbours(metrics, judged):
    assert metrics["model"]["gain"] > 2 * metrics["model"]["gain_error"] > 0
    assert metrics["data"]["chosen"]["prior"] in ("neighbours", "svd")
    assert {"gene_means", "own_counts", "gene_means, posterior"} <= metrics["baselines"].keys()
    assert len(metrics["baselines"]) + len(metrics["ablations"]) == len(judged.nats) - 1
    words = verdict(metrics)
    assert "better than the gene means by" in words[0]
    page = denoising_report(metrics, {}, {})
    assert "gene means, posterior" in page and "denoised" in page


def test_no_gain_is_said():
    same = {"gene_means": 6.0, "gene_means, posterior": 6.0}
    words = " ".join(verdict(told(same, {})))
    assert "no better than the gene means" in words and "own counts do the work" in words


def test_a_loss_is_said():
    worse = {"gene_means": 6.0, "gene_means, posterior": 5.5, "svd, posterior": 6.5}
    words = " ".join(verdict(told(worse, {"svd, posterior": 1})))
    assert "WORSE than the gene means by 0.500" in words
    assert "BELOW the best baseline" in words


def test_figures_show_every_method_and_the_found_molecules(metrics, judged):
    axis = nats_figure(metrics).axes[0]
    assert len(axis.patches) == 1 + len(metrics["baselines"]) + len(metrics["ablations"])
    assert "denoised" in [text.get_text() for text in axis.get_yticklabels()]
    scaled = calibration_figure(judged.calibration).axes[0]
    assert scaled.get_xscale() == scaled.get_yscale() == "log"


def test_how_far_imputed_genes_can_be_believed_is_said(metrics):
    assert "Imputed genes" not in denoising_report(metrics, {}, {})
    judged = {"hidden_genes": 20.0, "level": 0.81, "expressed_genes": 7.0, "cells": 0.34}
    metrics["data"]["imputed"] = {"genes": 2, **judged}
    page = denoising_report(metrics, {}, {})
    assert "rank correlation of 0.81" in page and "is 0.34, in the 7 genes" in page
    metrics["data"]["imputed"] = {"genes": 1, "hidden_genes": 1.0, "expressed_genes": 0.0}
    assert "rank correlation" not in denoising_report(metrics, {}, {})
