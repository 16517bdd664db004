"""Probe of `fit_ranker`; it runs no Mamba2 layer, so no step is timed."""

from sc_mamba2.tasks.perturbation.model import PerturbationModel
from sc_mamba2.tasks.perturbation.reverse.states import Query
from sc_mamba2.tasks.shared.probe import count_parameters
from sc_mamba2.tasks.shared.work import Work
from sc_mamba2.training import ComputeOptions, choose_device
from sc_mamba2.training.machine import peak_bytes


def probe_ranking(
    model: PerturbationModel,
    candidates: list[str],
    query: Query,
    compute: ComputeOptions,
) -> Work:
    """Count the candidates and cells of `fit_ranker`."""
    return Work(
        name="ranking",
        steps=len(candidates),
        step="candidate",
        probed=0,
        seconds_a_step=None,
        seconds=None,
        tokens={},
        parameters=count_parameters(model),
        peak_bytes=peak_bytes(choose_device(compute.device)),
        facts={"source cells": query.source.n_obs, "target cells": query.target.n_obs},
    )
