"""Nodes from a trained model to what a person gets: predicted cells, figures, report.

What comes before, from cells to a model and its scores, stands in `nodes`.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from matplotlib.figure import Figure

from sc_mamba2.cells import canonical_name
from sc_mamba2.tasks.perturbation import evaluate, figures, report
from sc_mamba2.tasks.perturbation.fit_effect_prior import known_start
from sc_mamba2.tasks.perturbation.model import ROW, PerturbationModel
from sc_mamba2.tasks.perturbation.params import PopulationParams
from sc_mamba2.tasks.perturbation.predict import Population, predict_population
from sc_mamba2.tasks.perturbation.reading import read_controls
from sc_mamba2.tasks.perturbation.split import PERTURBATION
from sc_mamba2.tasks.perturbation.writing import write_cells
from sc_mamba2.tasks.shared.parameters import flat_parameters
from sc_mamba2.tasks.shared.params import IngestionParams
from sc_mamba2.tokens import TokenizedCells, Tokenizer
from sc_mamba2.training import ComputeOptions


def read_asked(model: PerturbationModel, params: PopulationParams) -> tuple[str, Tokenizer]:
    """Read the perturbation that a trained model is asked for, or refuse it."""
    asked = canonical_name(params.perturbation or str(model.start.effects.rows[PERTURBATION][0]))
    known_start(model.start, model.keys, asked)
    return asked, model.tokenizer


def all_controls(valid_cells: AnnData, model: PerturbationModel) -> AnnData:
    """Take the control cells of the file, over the model's genes."""
    return read_controls(valid_cells, model.keys, model.start.effects.genes)


def ask(control_tokens: TokenizedCells, asked: str) -> TokenizedCells:
    """Put what is asked for beside every control cell."""
    table = control_tokens.obs.assign(**{PERTURBATION: asked, ROW: 0})
    return replace(control_tokens, obs=table)


def populate(
    model: PerturbationModel,
    asked: str,
    controls: AnnData,
    outputs: dict[str, np.ndarray],
    params: PopulationParams,
    compute: ComputeOptions,
) -> Population:
    """Predict the cells under the perturbation, with the table of genes and its trust."""
    model.know(asked)
    code_NK = outputs["code"]
    return predict_population(model, asked, controls, code_NK, params.ensemble, compute.seed)


def add_population(
    scores: dict[str, Any], population: Population, model: PerturbationModel
) -> dict[str, Any]:
    """Add to the scores what is predicted; the contents of ``metrics.json``."""
    run = scores["run"] | {"checkpoint_sha256": model.sha256()}
    return scores | {"data": scores["data"] | {"predicted": population.trust}, "run": run}


def no_scores(
    model: PerturbationModel, validation_report: dict[str, Any], run_info: dict[str, Any]
) -> dict[str, Any]:
    """Return the empty scores of a run that only predicts."""
    data = {"remarks": [], "reference": validation_report, "units": []}
    return {"model": {}, "baselines": {}, "ablations": {}, "data": data, "run": run_info}


def write_predicted(
    raw_cells: AnnData,
    controls: AnnData,
    population: Population,
    model: PerturbationModel,
    validation_report: dict[str, Any],
    run_info: dict[str, Any],
    ingestion: IngestionParams,
) -> tuple[AnnData, str]:
    """Write the predicted cells into a copy of the user's control cells; the table of genes as CSV."""
    facts = {name: str(run_info[name]) for name in ("version", "command", "seed", "run_id")} | {
        "checkpoint_sha256": model.sha256(),
        "vocabulary_sha256": model.tokenizer.vocabulary.sha256,
        "expression": validation_report["expression"]["origin"],
        "genes_matched": validation_report["genes"]["matched"],
        "perturbation": population.trust["perturbation"],
        "perturbation_kind": model.keys.kind,
    }
    written = write_cells(raw_cells, controls, population.cells, facts, ingestion.gene_table)
    return written, population.table.to_csv(index_label="ensembl_id")


def draw_figures(
    population: Population,
    predicted: np.ndarray | None = None,
    truth: evaluate.Truth | None = None,
    scores: dict[str, Any] | None = None,
    history: pd.DataFrame | None = None,
) -> dict[str, Figure]:
    """Draw the volcano; with held-out cells the scores by perturbation and predicted against real."""
    drawn = {"volcano": figures.volcano_figure(population.table, population.trust["perturbation"])}
    if truth is not None and predicted is not None and scores is not None:
        drawn["held_out"] = figures.unit_figure(
            scores["data"]["units"], ["model", *scores["baselines"]]
        )
        drawn["effects"] = figures.effects_figure(truth, predicted, scores["data"]["scored"])
    if history is not None and len(history):
        drawn["training"] = figures.training_figure(history)
    return drawn


def write_report(
    metrics: dict[str, Any], figures: dict[str, bytes], parameters: dict[str, Any]
) -> str:
    """Write the one-file HTML report."""
    groups = ("ingestion", "validation", "tokenization", "perturbation", "compute")
    return report.perturbation_report(metrics, figures, flat_parameters(parameters, groups))
