"""Which perturbations are ranked, and the change that the model tells of each.

Legend: C candidates, G genes.
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from pathlib import Path

import numpy as np

from sc_mamba2.cells import canonical_name, parts_of
from sc_mamba2.errors import UserError, nearest
from sc_mamba2.tasks.perturbation.effect_prior import EffectPrior, known_prior
from sc_mamba2.tasks.perturbation.model import PerturbationModel
from sc_mamba2.tasks.perturbation.reverse.params import CandidateParams
from sc_mamba2.tasks.perturbation.split import PERTURBATION


@dataclass(frozen=True, eq=False)
class Offer:
    """The candidates, and all that it takes to tell what they do.

    Attributes
    ----------
    names
        C canonical names.
    own
        Columns of each candidate's own genes.
    start
        Knows every candidate.
    context
        Of the source cells; one that the model does not know is told by its control mean.
    decoding
        See `PerturbationModel.decoding`.
    """

    names: list[str]
    own: list[list[int]]
    start: EffectPrior
    context: str
    decoding: tuple[float, float]

    @cached_property
    def own_sign(self) -> float:
        """Which way a perturbation moves its own gene: -1, 0 or 1."""
        every_Q = np.ones(len(self.start.effects.rows), bool)
        return float(np.sign(self.start.own_ratio(every_Q)))

    def told_by(self, start: EffectPrior, control_G: np.ndarray) -> np.ndarray:
        """Estimate the change of every candidate by an estimate like `start`, (C, G)."""
        return told_changes(start, self.names, self.context, control_G)


def read_candidates(model: PerturbationModel, params: CandidateParams) -> list[str]:
    """List the candidates by their canonical names, in alphabetical order.

    Raises
    ------
    UserError
        ``candidates-file``: no such file, or nothing in it. ``candidates-many``: more than allowed.
        ``perturbation-unknown``: one that nothing is known of.
    """
    if params.candidates == "all":
        names = sorted(set(model.prior.effects.rows[PERTURBATION]))
    else:
        names = _listed(params.candidates)
    for name in names:
        known_prior(model.prior, model.keys, name)
    if params.pairs:
        single = [name for name in names if len(parts_of(name)) == 1]
        names = sorted({*names, *(canonical_name("+".join(p)) for p in combinations(single, 2))})
    if not 2 <= len(names) <= params.most:
        raise UserError(
            "candidates-many",
            found=f"{len(names):,} candidates",
            expected=f"2 to {params.most:,}",
            mend="name them in a file, or without pairs",
        )
    return names


def _listed(path: str) -> list[str]:
    file = Path(path)
    lines = file.read_text("utf-8").splitlines() if file.is_file() else []
    names = sorted({canonical_name(line) for line in lines if line.strip()})
    if not names:
        raise UserError(
            "candidates-file",
            found=f"no candidate in '{path}'" if file.is_file() else f"no file '{path}'",
            expected="'all', or a text file with a perturbation a line",
            mend="correct --candidates" + nearest(path, ["all"]),
        )
    return names


def told_changes(
    start: EffectPrior, names: list[str], context: str, control_G: np.ndarray
) -> np.ndarray:
    """Estimate the change of every candidate, (C, G); singles are estimated once.

    Parameters
    ----------
    start
        Knows every candidate.
    names
        C canonical names.
    context
        Of the source cells; one that the model does not know is told by its control mean.
    control_G
        Mean of the source cells.
    """
    measured = set(start.effects.rows[PERTURBATION])
    once: dict[str, np.ndarray] = {}

    def tell(name: str) -> np.ndarray:
        if name not in once:
            once[name] = start.estimate(name, context, control_G)
        return once[name]

    changes = []
    for name in names:
        parts = (name,) if name in measured else parts_of(name)
        changes.append(np.sum([tell(part) for part in parts], axis=0))
    return np.maximum(np.stack(changes), -control_G)
