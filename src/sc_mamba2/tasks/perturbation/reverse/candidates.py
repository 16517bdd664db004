"""The perturbations to rank, and the change that the model predicts for each.

Legend: C candidates, G genes.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations
from pathlib import Path

import numpy as np

from sc_mamba2.cells import PerturbationNames, parts_of
from sc_mamba2.cells.perturbation_names import JOINT
from sc_mamba2.errors import UserError, nearest
from sc_mamba2.tasks.perturbation.effect_prior import EffectPrior
from sc_mamba2.tasks.perturbation.model import PerturbationModel
from sc_mamba2.tasks.perturbation.params import KeyParams
from sc_mamba2.tasks.perturbation.prior_names import known_prior, names_of
from sc_mamba2.tasks.perturbation.reverse.params import CandidateParams
from sc_mamba2.tasks.perturbation.split import PERTURBATION


@dataclass(frozen=True, eq=False)
class Candidates:
    """The candidates, and everything needed to predict their effects.

    Attributes
    ----------
    names
        C canonical names.
    own
        Columns of each candidate's own genes.
    prior
        Knows every candidate.
    context
        Context of the source cells; an unknown one is estimated by its control mean.
    decoding
        See `PerturbationModel.decoding`.
    """

    names: list[str]
    own: list[list[int]]
    prior: EffectPrior
    context: str
    decoding: tuple[float, float]
    keys: KeyParams = field(default_factory=KeyParams)

    @cached_property
    def own_sign(self) -> float:
        """Direction in which a perturbation moves its own gene: -1, 0 or 1."""
        every_Q = np.ones(len(self.prior.effects.rows), bool)
        return float(np.sign(np.log(self.prior.own_gene_fold_change(every_Q)[0])))

    @cached_property
    def parts(self) -> list[tuple[str, ...]]:
        """What each candidate is estimated from: itself if it was measured, else its parts."""
        measured = set(self.prior.effects.rows[PERTURBATION])
        whole = self.prior.effects.whole
        return [(name,) if name in measured else parts_of(name, whole) for name in self.names]

    def changes(self, prior: EffectPrior, control_G: np.ndarray) -> np.ndarray:
        """Estimate the change of every candidate, (C, G), by a prior that knows them all."""
        singles = dict.fromkeys(part for parts in self.parts for part in parts)
        of = {part: prior.estimate(part, self.context, control_G) for part in singles}
        return np.maximum(self.summed(of), -control_G)

    def summed(self, changes: dict[str, np.ndarray]) -> np.ndarray:
        """Return the sum of the changes of each candidate's parts, (C, G)."""
        return np.stack([np.sum([changes[p] for p in parts], axis=0) for parts in self.parts])


def read_candidates(
    model: PerturbationModel, params: CandidateParams, listed: Iterable[str] | None = None
) -> list[str]:
    """Return the canonical names of the candidates, in alphabetical order.

    Parameters
    ----------
    model
        Its measured perturbations are the default candidates.
    params
        Source of the names; whether to add all pairs.
    listed
        Names to use instead of those in `params`.

    Raises
    ------
    UserError
        ``candidates-file``: no such file, or it is empty. ``candidates-many``: fewer than 2, or too many.
        ``perturbation-unknown``: a candidate was never seen and has no features.
    """
    whole = model.prior.effects.whole
    if listed is None and params.candidates == "all":
        names = sorted(set(model.prior.effects.rows[PERTURBATION]))
    else:
        names = _canonical(params.candidates, listed, names_of(model.prior, model.keys))
    known_prior(model.prior, model.keys, *names)
    if params.pairs:
        single = [name for name in names if len(parts_of(name, whole)) == 1]
        names = sorted({*names, *(JOINT.join(sorted(p)) for p in combinations(single, 2))})
    if not 2 <= len(names) <= params.most:
        raise UserError(
            "candidates-many",
            found=f"{len(names):,} candidates",
            expected=f"2 to {params.most:,}",
            mend="list them in a file, or exclude pairs",
        )
    return names


def _canonical(path: str, listed: Iterable[str] | None, known: PerturbationNames) -> list[str]:
    file = Path(path)
    if listed is None:
        listed = file.read_text("utf-8").splitlines() if file.is_file() else []
    names = sorted({known.resolve(name) for name in listed if name.strip()})
    if not names:
        raise UserError(
            "candidates-file",
            found=f"no candidate in '{path}'" if file.is_file() else f"no file '{path}'",
            expected="'all', or a text file with one perturbation per line",
            mend="correct --candidates" + nearest(path, ["all"]),
        )
    return names
