"""Nodes of perturbation: split, estimate, head, baselines, scores, predicted cells, report.

Each is thin; what it does stands in the file named after the thing.
"""

from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
from anndata import AnnData

from sc_mamba2.cells import canonical_name
from sc_mamba2.model import Backbone
from sc_mamba2.tasks.perturbation import evaluate
from sc_mamba2.tasks.perturbation.baselines import BASELINES
from sc_mamba2.tasks.perturbation.effect_prior import Start
from sc_mamba2.tasks.perturbation.effects import measure_effects
from sc_mamba2.tasks.perturbation.features import gene_ids, own_columns, single_features
from sc_mamba2.tasks.perturbation.fit_effect_prior import fit_start, known_start
from sc_mamba2.tasks.perturbation.model import PerturbationModel
from sc_mamba2.tasks.perturbation.params import (
    HeadParams,
    KeyParams,
    PopulationParams,
    ScoreParams,
    SplitParams,
    StartParams,
)
from sc_mamba2.tasks.perturbation.predict import (
    pair_with_controls,
    predicted_effects,
)
from sc_mamba2.tasks.perturbation.reading import read_cells
from sc_mamba2.tasks.perturbation.split import (
    CONTEXT,
    PART,
    PERTURBATION,
    TEST,
    TRAIN,
    given_parts,
    split_cells,
)
from sc_mamba2.tasks.perturbation.training import (
    complete,
    keep_what_helps,
    new_model,
    training_pairs,
)
from sc_mamba2.tasks.shared.params import TokenizationParams
from sc_mamba2.tasks.shared.tokenization import fit_tokenizer
from sc_mamba2.tokens import TokenizedCells, Tokenizer
from sc_mamba2.training import ComputeOptions


def hold_out(
    valid_cells: AnnData,
    keys: KeyParams,
    params: SplitParams,
    scoring: ScoreParams,
    compute: ComputeOptions,
) -> tuple[AnnData, AnnData, pd.DataFrame, list[dict[str, Any]]]:
    """Split the cells: those to learn from, those to score on; and the table that says which."""
    cells, remarks = read_cells(valid_cells, keys)
    given = None
    if params.key is not None:
        given = given_parts(valid_cells.obs, params.key).loc[cells.obs_names]
    parts = split_cells(cells.obs, keys.control, given, params, compute.seed)
    table = cells.obs.assign(**{PART: parts})
    held_out = table[(parts == TEST) & (table[PERTURBATION] != keys.control)]
    evaluate.check_names(held_out, params.kind, scoring)
    training, test = (cells[(parts == part).to_numpy()].copy() for part in (TRAIN, TEST))
    return training, test, table, remarks


def estimate(
    training_cells: AnnData,
    split: pd.DataFrame,
    keys: KeyParams,
    params: StartParams,
    population: PopulationParams,
) -> tuple[Start, str]:
    """Measure the training effects and fit the estimate; read what is asked for, or refuse it."""
    names = {part for name in set(split[PERTURBATION]) for part in canonical_name(name).split("+")}
    perturbed, controls = _sides(training_cells, keys.control)
    singles = single_features(sorted(names - {keys.control}), keys)
    effects = measure_effects(perturbed, controls)
    own = own_columns(names - {keys.control}, effects.genes, keys)
    start = fit_start(effects, singles, params, own)
    held_out = split.loc[(split[PART] == TEST) & (split[PERTURBATION] != keys.control)]
    asked = population.perturbation
    if asked is None:
        return start, str(sorted(held_out[PERTURBATION])[0])
    asked = canonical_name(asked)
    return known_start(start, keys, asked), asked


def fit_perturbation_tokenizer(
    training_cells: AnnData, start: Start, keys: KeyParams, params: TokenizationParams
) -> Tokenizer:
    """Choose the genes that vary among control cells, and add those that are perturbed."""
    controls = _sides(training_cells, keys.control)[1]
    always = []
    if keys.kind != "chemical":
        seen = {p for n in start.effects.rows[PERTURBATION] for p in n.split("+")}
        always = [i for i in gene_ids(sorted(seen | set(start.singles))).values() if i]
    return fit_tokenizer(controls, controls, params, always=sorted(set(always)))


def take_controls(cells: AnnData, keys: KeyParams) -> AnnData:
    """Return the control cells among some cells."""
    return _sides(cells, keys.control)[1]


def pair_cells(
    start: Start,
    control_tokens: TokenizedCells,
    head: HeadParams,
    params: SplitParams,
    compute: ComputeOptions,
) -> tuple[TokenizedCells, TokenizedCells]:
    """Pair training effects with control cells; see `training.training_pairs`."""
    return training_pairs(
        start, control_tokens, head, params.kind, params.validation_share, compute.seed
    )


def attach_head(
    backbone: Backbone,
    tokenizer: Tokenizer,
    start: Start,
    keys: KeyParams,
    head: HeadParams,
    params: SplitParams,
    compute: ComputeOptions,
) -> PerturbationModel:
    """Put an untrained head with its estimate on the backbone."""
    return new_model(backbone, tokenizer, start, keys, head, params.kind, compute.seed)


def judge(
    fitted_model: PerturbationModel,
    training_tokens: TokenizedCells,
    validation_tokens: TokenizedCells,
    compute: ComputeOptions,
) -> tuple[PerturbationModel, dict[str, Any]]:
    """Keep of the Mamba2 layers what helps; see `training.keep_what_helps`."""
    verdict = keep_what_helps(fitted_model, training_tokens, validation_tokens, compute)
    return fitted_model, verdict


def pair_test(
    test_cells: AnnData,
    control_tokens: TokenizedCells,
    keys: KeyParams,
    params: PopulationParams,
    compute: ComputeOptions,
) -> tuple[pd.DataFrame, TokenizedCells]:
    """Name the held-out effects, and the training's control cells that they are told from."""
    rows = measure_effects(*_sides(test_cells, keys.control)).rows
    return rows, pair_with_controls(rows, control_tokens, params.cells, compute.seed)


def tell_effects(
    model: PerturbationModel,
    test_rows: pd.DataFrame,
    test_tokens: TokenizedCells,
    test_outputs: dict[str, np.ndarray],
    controls: AnnData,
) -> np.ndarray:
    """Predict the held-out effects, (T, G)."""
    return predicted_effects(model, test_rows, test_tokens.obs, test_outputs["code"], controls)


def run_baselines(
    start: Start, test_rows: pd.DataFrame, params: ScoreParams
) -> dict[str, np.ndarray]:
    """Predict the held-out effects by the simple methods, (T, G) each."""
    pairs = list(zip(test_rows[PERTURBATION], test_rows[CONTEXT], strict=True))
    return {
        name: np.stack([tell(start.effects, *pair, params) for pair in pairs])
        for name, tell in BASELINES.items()
    }


def score(
    predicted: np.ndarray,
    baselines: dict[str, np.ndarray],
    ablations: dict[str, np.ndarray],
    test_cells: AnnData,
    start: Start,
    verdict: dict[str, Any],
    remarks: list[dict[str, Any]],
    validation_report: dict[str, Any],
    run_info: dict[str, Any],
    keys: KeyParams,
    split: SplitParams,
    params: ScoreParams,
    compute: ComputeOptions,
) -> tuple[dict[str, Any], evaluate.Truth, pd.DataFrame]:
    """Score the model beside its baselines and ablations: most of ``metrics.json``; the effects."""
    perturbed, controls = _sides(test_cells, keys.control)
    effects = measure_effects(perturbed, controls)
    own = list(own_columns(set(effects.rows[PERTURBATION]), effects.genes, keys).values())
    truth = evaluate.read_truth(effects, perturbed, controls, own, split.kind, params, compute.seed)
    units = evaluate.scored_units(truth, params)
    told = {"model": predicted, **baselines, **ablations}
    tables = {name: evaluate.score_units(told_TG, truth, params) for name, told_TG in told.items()}
    means = {name: evaluate.mean_scores(table, units) for name, table in tables.items()}
    everything = evaluate.mean_scores(tables["model"], list(truth.units.index))
    found = {
        "model": means["model"],
        "views": {"model: all held out": everything},
        "baselines": {name: means[name] for name in baselines},
        "ablations": {name: means[name] for name in ablations},
        "data": {
            "split": split.kind,
            "scored": units,
            "units": evaluate.describe_units(truth, tables),
            "correlation_between": evaluate.diversity(predicted, truth),
            "training_effects": len(start.effects.rows),
            "training_perturbations": int(start.effects.rows[PERTURBATION].nunique()),
            "contexts": len(start.effects.contexts),
            "temperatures": [start.perturbation_temperature, start.context_temperature],
            "layers": verdict,
            "remarks": remarks,
            "reference": validation_report,
        },
        "run": run_info,
    }
    return found, truth, evaluate.held_out_effects(truth, told, effects.genes)


def complete_model(
    judged_model: PerturbationModel, training_cells: AnnData, test_cells: AnnData, asked: str
) -> PerturbationModel:
    """Let the scored model measure with all cells, and know what is asked for."""
    complete(judged_model, ad.concat([training_cells, test_cells]))
    judged_model.know(asked)
    return judged_model


def _sides(cells: AnnData, control: str) -> tuple[AnnData, AnnData]:
    """Return the perturbed cells and the control cells."""
    unperturbed = (cells.obs[PERTURBATION].astype(str) == control).to_numpy()
    return cells[~unperturbed].copy(), cells[unperturbed].copy()
