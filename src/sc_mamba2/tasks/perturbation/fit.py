"""Fitting: hold out cells, prepare, keep the Mamba2 layers if they help, complete with all cells.

`shared.backbone.fine_tune` runs between `prepare` and `gate_layers`.
"""

import copy
from dataclasses import replace
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import stats

from sc_mamba2.cells import learn_names, parts_of
from sc_mamba2.methods.mean_changes import affine
from sc_mamba2.model import Backbone
from sc_mamba2.tasks.perturbation.effect_prior import EffectPrior
from sc_mamba2.tasks.perturbation.effects import (
    Effects,
    effect_rows,
    groups_of,
    measure_effects,
    sides_of,
)
from sc_mamba2.tasks.perturbation.evaluate import check_names
from sc_mamba2.tasks.perturbation.features import (
    gene_ids,
    own_columns,
    pathway_targets,
    single_features,
)
from sc_mamba2.tasks.perturbation.model import ROW, PerturbationModel
from sc_mamba2.tasks.perturbation.params import (
    HeadParams,
    KeyParams,
    PopulationParams,
    ScoreParams,
    SplitKind,
    SplitParams,
    StartParams,
)
from sc_mamba2.tasks.perturbation.predict import pair_with_controls, tokens_of_request
from sc_mamba2.tasks.perturbation.prior_fit import fit_effect_prior
from sc_mamba2.tasks.perturbation.prior_names import known_prior, names_of
from sc_mamba2.tasks.perturbation.reading import read_cells
from sc_mamba2.tasks.perturbation.split import (
    CONTEXT,
    PART,
    PERTURBATION,
    TEST,
    TRAIN,
    draw_validation,
    given_parts,
    split_cells,
)
from sc_mamba2.tasks.shared.backbone import load_or_build_backbone
from sc_mamba2.tasks.shared.params import BackboneParams, TokenizationParams
from sc_mamba2.tasks.shared.tokenization import fit_tokenizer, tokenize_cells
from sc_mamba2.tokens import TokenizedCells, Tokenizer
from sc_mamba2.training import ComputeOptions, choose_device, mean_loss, seed_everything

CELLS_AT_ONCE = 256


def hold_out(
    valid_cells: AnnData,
    keys: KeyParams,
    params: SplitParams,
    scoring: ScoreParams,
    compute: ComputeOptions,
) -> tuple[AnnData, AnnData, pd.DataFrame, list[dict[str, Any]]]:
    """Split the cells.

    Returns
    -------
    training_cells, test_cells
        Cells to train on, and cells to score on.
    split
        One row a cell: ``perturbation``, ``context``, ``part``.
    remarks
        What was left out.
    """
    cells, known, remarks = read_cells(valid_cells, keys)
    if params.kind != "unseen_context":
        named = {"held_out": tuple(map(known.resolve, params.held_out))}
        params = params.model_copy(update=named)
        scored = {"names": tuple(map(known.resolve, scoring.names))}
        scoring = scoring.model_copy(update=scored)
    given = None
    if params.key is not None:
        given = given_parts(valid_cells.obs, params.key).loc[cells.obs_names]
    parts = split_cells(cells.obs, keys.control, given, params, compute.seed, known.whole)
    split = cells.obs.assign(**{PART: parts})
    check_names(held_out_rows(split, keys.control), params.kind, scoring)
    training, test = (cells[(parts == part).to_numpy()].copy() for part in (TRAIN, TEST))
    return training, test, split, remarks


def held_out_rows(split: pd.DataFrame, control: str) -> pd.DataFrame:
    """Return the rows of the held-out perturbed cells."""
    return split[(split[PART] == TEST) & (split[PERTURBATION] != control)]


def prepare(
    training_cells: AnnData,
    split: pd.DataFrame,
    keys: KeyParams,
    splitting: SplitParams,
    start: StartParams,
    head: HeadParams,
    population: PopulationParams,
    tokenization: TokenizationParams,
    backbone: BackboneParams,
    compute: ComputeOptions,
) -> tuple[PerturbationModel, EffectPrior, str, TokenizedCells, TokenizedCells, TokenizedCells]:
    """Fit the effect prior, and build the untrained model and its tokens.

    Returns
    -------
    untrained_model
        Predicts the prior's estimate.
    effect_prior
        Fitted to the training cells only.
    requested
        The perturbation to predict; by default the first held-out one.
    training_tokens, validation_tokens
        Control cells paired with training effects, for training and for validation. If no effect can
        be spared for validation, both are the same and the layers are not kept.
    test_tokens
        Training control cells paired with the names of the held-out effects.

    Raises
    ------
    UserError
        ``perturbation-unknown``, ``feature-file``, and those of tokenizer and backbone.
    """
    perturbed, controls = sides_of(training_cells, keys.control)
    held_out = held_out_rows(split, keys.control)
    effects = measure_effects(perturbed, controls)
    all_names = set(split[PERTURBATION]) - {keys.control}
    names = {part for name in all_names for part in parts_of(name, effects.whole)}
    singles = single_features(sorted(names), keys)
    # Names in a feature table may contain a "+" that joins nothing.
    described_too = learn_names({*names, *singles}, keys.rules)
    effects = replace(effects, whole=effects.whole | described_too.whole)
    own = own_columns(names, effects.genes, keys)
    prior = fit_effect_prior(effects, singles, start, own, pathway_targets(names, keys))
    if population.perturbation is None:
        requested = str(sorted(held_out[PERTURBATION])[0])
    else:
        requested = names_of(prior, keys, all_names).resolve(population.perturbation)
        # The final model also measures the held-out cells.
        prior = known_prior(prior, keys, requested, measured=all_names)
    perturbed_genes: set[str] = set()
    if keys.kind != "chemical":
        known, whole = effects.rows[PERTURBATION], effects.whole
        measured = {part for name in known for part in parts_of(name, whole)}
        perturbed_genes = set(gene_ids(sorted(measured | set(prior.singles))).values()) - {""}
    # The variable genes of control cells, and the perturbed ones.
    tokenizer = fit_tokenizer(controls, controls, tokenization, always=sorted(perturbed_genes))
    tokens = tokenize_cells(controls, tokenizer)
    pairs = pair_with_controls(effects.rows, tokens, head.pairs, compute.seed)
    training = validation = pairs
    share = splitting.validation_share
    validates_Q = draw_validation(effects.rows, splitting.kind, share, compute.seed)
    if validates_Q.any():
        validates_N = validates_Q[pairs.obs[ROW].to_numpy()]
        training, validation = pairs.take(~validates_N), pairs.take(validates_N)
    rows = effect_rows(groups_of(held_out))
    test = pair_with_controls(rows, tokens, population.cells, compute.seed)
    trunk = load_or_build_backbone(tokenizer, training, backbone, compute)
    model = new_model(trunk, tokenizer, prior, keys, head, splitting.kind, compute.seed)
    return model, prior, requested, training, validation, test


def new_model(
    backbone: Backbone,
    tokenizer: Tokenizer,
    prior: EffectPrior,
    keys: KeyParams,
    head: HeadParams,
    kind: SplitKind,
    seed: int,
) -> PerturbationModel:
    """Build an untrained model on a backbone; it predicts the prior's estimate."""
    seed_everything(seed)
    share = fit_rising_share(prior.effects, head)
    return PerturbationModel(backbone, tokenizer, prior, keys, head, kind, share)


def fit_rising_share(effects: Effects, head: HeadParams) -> float:
    """Choose the share of a rise that is scaling, by the spread of the training cells.

    It is the one of `rising_shares` whose ``scale`` times the control cells' standard deviation is closest to
    that of the perturbed cells, in squared error over rising genes, effects weighted by reliability.
    """
    losses = []
    for share in head.rising_shares:
        loss = 0.0
        for place, context in enumerate(effects.rows[CONTEXT]):
            change_G = effects.delta_QG[place]
            scale_G, _ = affine(change_G, effects.control_of(context), share, head.most_scale)
            spread_G = scale_G * effects.control_spread_of(context)
            error_G = (spread_G - effects.spread_QG[place]) ** 2
            loss += effects.reliability_Q[place] * float(error_G[change_G > 0].sum())
        losses.append(loss)
    return head.rising_shares[int(np.argmin(losses))]


def gate_layers(
    fitted_model: PerturbationModel,
    training_tokens: TokenizedCells,
    validation_tokens: TokenizedCells,
    compute: ComputeOptions,
) -> tuple[PerturbationModel, dict[str, Any]]:
    """Close the gate unless the layers improve predictions of effects they were not trained on.

    They are kept if they lower the loss on the validation perturbations (or contexts) significantly: a
    one-sided paired t test over these, at the head's `gate_level`. With only two or three, the gain must be
    large and even, because layers that do not help do harm on new perturbations.

    Returns
    -------
    scored_model
        With its gate open or closed; it has seen no held-out cell.
    gate
        ``loss_with`` and ``loss_without`` the layers, means over validation perturbations; ``p`` of the
        test; ``kept``.
    """
    if set(fitted_model.head.paths) != {"start", "trunk"}:
        return fitted_model, {"kept": "trunk" in fitted_model.head.paths}
    device = choose_device(compute.device)
    model = copy.deepcopy(fitted_model).to(device)
    column = CONTEXT if model.kind == "unseen_context" else PERTURBATION
    group = model.prior.effects.rows[column].to_numpy()[validation_tokens.obs[ROW].to_numpy()]
    parts = [validation_tokens.take(group == name) for name in sorted(set(group))]
    losses = []
    for gate in (1.0, 0.0):
        model.gate.fill_(gate)
        vocabulary = model.tokenizer.vocabulary
        losses.append([mean_loss(model, part, vocabulary, CELLS_AT_ONCE, device) for part in parts])
    gain_U = np.subtract(losses[1], losses[0])
    chance = 1.0
    if len(gain_U) > 1 and gain_U.std() > 0:
        chance = float(stats.ttest_1samp(gain_U, 0, alternative="greater").pvalue)
    apart = not np.isin(validation_tokens.obs[ROW], training_tokens.obs[ROW]).any()
    kept = bool(apart and chance < model.head.gate_level)
    model.gate.fill_(float(kept))
    means = {"loss_with": float(np.mean(losses[0])), "loss_without": float(np.mean(losses[1]))}
    return model.cpu().eval(), means | {"p": chance, "kept": kept}


def complete_model(
    scored_model: PerturbationModel,
    training_cells: AnnData,
    test_cells: AnnData,
    valid_cells: AnnData,
    requested: str,
) -> tuple[PerturbationModel, AnnData, TokenizedCells]:
    """Measure the effects in all cells, held-out ones included; the layers' weights stay.

    Returns
    -------
    model
        A copy of the scored model that knows the requested perturbation.
    controls, tokens
        All control cells of the file, and their tokens under the requested perturbation.
    """
    cells = ad.concat([training_cells, test_cells])
    effects = measure_effects(*sides_of(cells, scored_model.keys.control))
    model = copy.deepcopy(scored_model)
    prior = replace(model.prior, effects=replace(effects, whole=model.prior.effects.whole))
    model.set_prior(known_prior(prior, model.keys, requested))
    model.rising_share = fit_rising_share(effects, model.head)
    return model, *tokens_of_request(valid_cells, model, requested)
