"""Scores of the denoising methods: nats per molecule, gain over the gene means, and standard error."""

from typing import Any

from sc_mamba2.methods.molecules import Choice, mean_and_error
from sc_mamba2.tasks.denoising.choose import POSTERIOR, Judged, chosen_method
from sc_mamba2.tasks.denoising.imputed import ImputedGenes
from sc_mamba2.tasks.denoising.params import PriorParams
from sc_mamba2.tasks.denoising.pretrained import read_molecule_model
from sc_mamba2.tasks.denoising.priors import MEANS, PRETRAINED
from sc_mamba2.tasks.denoising.summary import summarize

FLOOR = MEANS + POSTERIOR


def score(
    judged: Judged,
    choices: dict[str, Choice],
    imputed: ImputedGenes,
    priors: PriorParams,
    validation_report: dict[str, Any],
    run_info: dict[str, Any],
) -> dict[str, Any]:
    """Return the contents of ``metrics.json``.

    ``nats`` per held-out molecule, lower is better; ``gain`` over the gene means with its standard error
    over cells. ``data.imputed``: how well hidden genes of the file were imputed, if imputation was
    requested; ``data.margins``: two standard errors of the paired difference to the model.
    """
    best = chosen_method(choices, priors)
    methods = {name: _scores(judged, name) for name in choices}
    others = {name: one for name, one in methods.items() if name != best}
    simple = [
        name for name in choices if name == FLOOR or (POSTERIOR not in name and name != PRETRAINED)
    ]
    pairs = {name: _gain(judged, name, best) for name in [*others, FLOOR]}
    choice = choices[best]
    checkpoint, identity = {}, {}
    if choice.prior == PRETRAINED:
        checkpoint = {"checkpoint": priors.checkpoint}
    if choice.prior == PRETRAINED or imputed.names:
        identity = {"checkpoint_sha256": read_molecule_model(priors.checkpoint).checkpoint_sha256}
    data = {
        "cells": validation_report["cells"],
        "scored_cells": len(judged.molecules_M),
        "held_out_molecules": int(judged.molecules_M.sum()),
        "chosen": {"prior": choice.prior, "phi": choice.phi, **choice.numbers, **checkpoint},
        "numbers": {
            name: {**one.numbers, **({"phi": one.phi} if POSTERIOR in name else {})}
            for name, one in choices.items()
        },
        "gains": {name: {"nats": gain, "error": error} for name, (gain, error) in pairs.items()},
        "margins": {"nats": {name: 2 * error for name, (_, error) in pairs.items()}},
        "imputed": {"genes": len(imputed.names), **imputed.judged},
        "reference": validation_report,
    }
    metrics = {
        "model": methods[best],
        "baselines": {name: methods[name] for name in simple},
        "ablations": {name: one for name, one in others.items() if name not in simple},
        "data": data,
        "run": run_info | identity,
    }
    return metrics | {"summary": summarize(metrics)}


def _scores(judged: Judged, name: str) -> dict[str, float]:
    nats, _ = mean_and_error(judged.nats[name], judged.molecules_M)
    gain, error = _gain(judged, MEANS, name)
    return {"nats": nats, "gain": gain, "gain_error": error}


def _gain(judged: Judged, over: str, name: str) -> tuple[float, float]:
    """Return by how many nats per molecule a method is better than another, with standard error."""
    return mean_and_error(judged.nats[over] - judged.nats[name], judged.molecules_M)
