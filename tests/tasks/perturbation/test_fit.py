"""What is prepared and fitted: no held-out cell in it, no model changed in place."""

import numpy as np
import pytest
import torch

from sc_mamba2.errors import UserError
from sc_mamba2.tasks.perturbation.effects import measure_effects, sides_of
from sc_mamba2.tasks.perturbation.fit import complete_model, gate_layers, hold_out, prepare
from sc_mamba2.tasks.perturbation.params import (
    KeyParams,
    PerturbationParams,
    PopulationParams,
    ScoreParams,
    SplitParams,
)
from sc_mamba2.tasks.shared.params import TokenizationParams
from sc_mamba2.training import ComputeOptions

COMPUTE, PARAMS = ComputeOptions(), PerturbationParams()


def test_what_is_prepared_knows_the_names_of_what_is_held_out_and_no_cell_of_it(parts):
    held_out = set(parts.test.obs["perturbation"]) - {"control"}
    assert parts.requested == min(held_out)
    assert not held_out & set(parts.prior.effects.rows["perturbation"])
    assert set(parts.test_tokens.obs["perturbation"]) == held_out
    rows = measure_effects(*sides_of(parts.test, "control")).rows
    assert parts.test_tokens.obs["row"].max() == len(rows) - 1
    first = parts.test_tokens.obs["row"].to_numpy() == 0
    cells = parts.controls.obs.iloc[parts.test_tokens.obs["cell"].to_numpy()[first]]
    assert set(cells["context"]) == {rows["context"][0]}


def test_a_name_to_be_scored_that_is_not_held_out_is_refused(parts):
    with pytest.raises(UserError, match="scored-names"):
        hold_out(parts.valid, parts.keys, SplitParams(), ScoreParams(names=("nothing",)), COMPUTE)


def test_layers_that_do_not_help_are_left_out(parts):
    model = parts.model()
    torch.nn.init.normal_(model.decoder.weight, std=3)
    training, validation = parts.training_tokens, parts.validation_tokens
    assert not set(training.obs["row"]) & set(validation.obs["row"])
    gated, gate = gate_layers(model, training, validation, COMPUTE)
    assert gate["loss_with"] > gate["loss_without"] and not gate["kept"]
    assert gated.gate == 0 and model.gate == 1
    torch.nn.init.zeros_(model.decoder.weight)
    assert not gate_layers(model, training, training, COMPUTE)[1]["kept"]
    assert gate_layers(parts.model(paths=("trunk",)), training, validation, COMPUTE)[1]["kept"]


def test_all_cells_are_measured_in_the_end(parts):
    scored = parts.model()
    cells = (parts.training, parts.test, parts.valid)
    model, controls, tokens = complete_model(scored, *cells, parts.requested)
    measured = [set(m.prior.effects.rows["perturbation"]) for m in (scored, model)]
    assert parts.requested not in measured[0] and parts.requested in measured[1]
    assert len(model.delta_QG) == len(model.prior.effects.rows) > len(scored.delta_QG)
    everyone = (parts.valid.obs["perturbation"] == "control").sum()
    assert controls.n_obs == len(tokens) == everyone > parts.controls.n_obs
    assert set(tokens.obs["perturbation"]) == {parts.requested} and not np.any(tokens.obs["row"])


@pytest.mark.parametrize("seed", range(6))
def test_whether_a_request_is_known_does_not_depend_on_the_seed(parts, seed):
    keys = KeyParams(
        context_key="batch", kind="chemical"
    )  # nothing describes a compound but its cells
    compute = ComputeOptions(seed=seed)
    training, test, split, _ = hold_out(parts.valid, keys, PARAMS.split, PARAMS.evaluation, compute)
    asked = PopulationParams(perturbation=min(set(split["perturbation"]) - {"control"}))
    own = (keys, PARAMS.split, PARAMS.start, PARAMS.head, asked, TokenizationParams())
    untrained, _, requested, *_ = prepare(training, split, *own, PARAMS.backbone, compute)
    model, *_ = complete_model(untrained, training, test, parts.valid, requested)
    assert requested in set(model.prior.effects.rows["perturbation"])


def test_names_to_hold_out_and_to_score_are_read_as_those_of_the_file(parts):
    name, other = sorted(set(parts.split["perturbation"]) - {"control"})[:2]
    splitting = SplitParams(held_out=(f"{name}+ctrl", f"sg{other}"))
    scoring = ScoreParams(names=(f"ctrl+{name}",))
    split = hold_out(parts.valid, parts.keys, splitting, scoring, COMPUTE)[2]
    assert set(split.loc[split["part"] == "test", "perturbation"]) == {name, other, "control"}
