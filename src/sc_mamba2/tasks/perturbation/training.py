"""Put a model together, show it control cells, and keep of the Mamba2 layers what helps."""

from dataclasses import replace
from typing import Any

import numpy as np
from anndata import AnnData
from scipy import stats

from sc_mamba2.model import Backbone
from sc_mamba2.tasks.perturbation.effect_prior import Start
from sc_mamba2.tasks.perturbation.effects import measure_effects
from sc_mamba2.tasks.perturbation.model import ROW, PerturbationModel
from sc_mamba2.tasks.perturbation.params import HeadParams, KeyParams, SplitKind
from sc_mamba2.tasks.perturbation.population import fit_rising_share
from sc_mamba2.tasks.perturbation.predict import pair_with_controls
from sc_mamba2.tasks.perturbation.split import CONTEXT, PERTURBATION, draw_validation
from sc_mamba2.tokens import TokenizedCells, Tokenizer
from sc_mamba2.training import ComputeOptions, choose_device, seed_everything
from sc_mamba2.training.loop import mean_loss

JUDGED_AT_ONCE = 256


def new_model(
    backbone: Backbone,
    tokenizer: Tokenizer,
    start: Start,
    keys: KeyParams,
    head: HeadParams,
    kind: SplitKind,
    seed: int,
) -> PerturbationModel:
    """Put an untrained head on a backbone; it predicts what the start estimates."""
    seed_everything(seed)
    share = fit_rising_share(start.effects, head)
    return PerturbationModel(backbone, tokenizer, start, keys, head, kind, share)


def training_pairs(
    start: Start,
    controls: TokenizedCells,
    head: HeadParams,
    kind: SplitKind,
    share: float,
    seed: int,
) -> tuple[TokenizedCells, TokenizedCells]:
    """Pair every training effect with control cells: those to learn from, and those that judge.

    Where no effect can be spared, both are the same cells, and nothing of the layers is kept.
    """
    rows = start.effects.rows
    pairs = pair_with_controls(rows, controls, head.pairs, seed)
    judges_Q = draw_validation(rows, kind, share, seed)
    judges_N = judges_Q[pairs.obs[ROW].to_numpy()]
    if not judges_N.any():
        return pairs, pairs
    return pairs.take(~judges_N), pairs.take(judges_N)


def keep_what_helps(
    model: PerturbationModel,
    training: TokenizedCells,
    validation: TokenizedCells,
    compute: ComputeOptions,
) -> dict[str, Any]:
    """Close the model's gate unless the layers tell effects better that they were not trained on.

    They are kept if the loss of the validation perturbations (or contexts) falls by more than chance:
    a one-sided paired t test over them, at the head's `gate_level`. With two or three it takes a large
    and even gain: so few say little, and what does not help does harm on new ones.

    Returns
    -------
    dict
        ``loss_with``, ``loss_without`` the layers, the mean over validation perturbations; ``p`` of the
        test; ``kept``.
    """
    if set(model.head.paths) != {"start", "trunk"}:
        return {"kept": "trunk" in model.head.paths}
    column = CONTEXT if model.kind == "unseen_context" else PERTURBATION
    group = model.start.effects.rows[column].to_numpy()[validation.obs[ROW].to_numpy()]
    device = choose_device(compute.device)
    model.to(device)
    losses = []
    for gate in (1.0, 0.0):
        model.gate.fill_(gate)
        losses.append(
            [
                mean_loss(
                    model,
                    validation.take(group == name),
                    model.tokenizer.vocabulary,
                    JUDGED_AT_ONCE,
                    device,
                )
                for name in sorted(set(group))
            ]
        )
    gain_U = np.subtract(losses[1], losses[0])
    chance = 1.0
    if len(gain_U) > 1 and gain_U.std() > 0:
        chance = float(stats.ttest_1samp(gain_U, 0, alternative="greater").pvalue)
    judged = not np.isin(validation.obs[ROW], training.obs[ROW]).any()
    kept = bool(judged and chance < model.head.gate_level)
    model.gate.fill_(float(kept))
    model.cpu().eval()
    means = {"loss_with": float(np.mean(losses[0])), "loss_without": float(np.mean(losses[1]))}
    return means | {"p": chance, "kept": kept}


def complete(model: PerturbationModel, cells: AnnData) -> None:
    """Measure again with all cells, held-out ones too, in place; what the layers learnt stays.

    Parameters
    ----------
    model
        That was scored without the held-out cells.
    cells
        All cells, with ``perturbation`` and ``context``.
    """
    control = (cells.obs[PERTURBATION] == model.keys.control).to_numpy()
    effects = measure_effects(cells[~control], cells[control])
    model.set_start(replace(model.start, effects=effects))
    model.rising_share = fit_rising_share(effects, model.head)
