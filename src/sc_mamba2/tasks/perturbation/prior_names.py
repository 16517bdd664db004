"""Names and features by which an effect prior knows perturbations, measured or not."""

from collections.abc import Iterable
from dataclasses import replace

from sc_mamba2.cells import PerturbationNames, base_and_dose, learn_names, parts_of
from sc_mamba2.errors import UserError, nearest
from sc_mamba2.tasks.perturbation.effect_prior import EffectPrior
from sc_mamba2.tasks.perturbation.features import (
    base_name,
    gene_ids,
    own_columns,
    single_features,
)
from sc_mamba2.tasks.perturbation.params import KeyParams
from sc_mamba2.tasks.perturbation.split import PERTURBATION, join_names


def with_features(prior: EffectPrior, keys: KeyParams, names: Iterable[str]) -> EffectPrior:
    """Return the prior with features of more perturbations, as far as there are any."""
    every = {part for name in names for part in parts_of(name, prior.effects.whole)}
    parts = sorted(every - prior.singles.keys())
    # Features do not depend on the dose.
    bases = {part: base_and_dose(part)[0] for part in parts}
    singles = {p: prior.singles[base] for p, base in bases.items() if base in prior.singles}
    missing = [part for part in parts if part not in singles]
    if missing and keys.feature_file is None:
        singles |= single_features(missing, keys)
    if singles:
        prior = replace(prior, singles={**prior.singles, **singles})
    if prior.targets:  # an ablation may have removed them
        prior = replace(prior, targets={**prior.targets, **gene_ids(sorted(every))})
    if prior.own:  # likewise
        own = own_columns(every, prior.effects.genes, keys)
        prior = replace(prior, own={**prior.own, **own})
    return prior


def names_of(prior: EffectPrior, keys: KeyParams, names: Iterable[str] = ()) -> PerturbationNames:
    """Return how to read names: measured ones, those with features, and `names`."""
    known = {*prior.effects.rows[PERTURBATION], *prior.singles, *names}
    parts = {part for name in known for part in parts_of(name, prior.effects.whole)}
    return replace(learn_names(known | parts, keys.rules), whole=prior.effects.whole)


def known_prior(
    prior: EffectPrior, keys: KeyParams, *names: str, measured: Iterable[str] = ()
) -> EffectPrior:
    """Return the prior with features of more perturbations; raise if one is unknown.

    `measured` are perturbations with cells that the prior does not contain yet.

    Raises
    ------
    UserError
        Rule ``perturbation-unknown``: a part of a perturbation was never seen and has no features.
    """
    whole = prior.effects.whole
    seen = sorted({*prior.effects.rows[PERTURBATION], *measured})
    bases = {base_name(other, whole) for other in seen}
    prior = with_features(prior, keys, names)
    for name in names:
        parts = [
            part
            for part in parts_of(name, whole)
            if base_and_dose(part)[0] not in bases
            and part not in prior.singles
            and not prior.targets.get(part)
        ]
        if parts and name not in seen:
            lacks = "is not a gene of the gene embedding checkpoint"
            if keys.feature_file is not None or keys.kind == "chemical":
                lacks = "has no row of features"
            raise UserError(
                "perturbation-unknown",
                found=f"'{parts[0]}', which is in no training cell, and which {lacks}",
                expected=f"one from the training ({join_names(seen, 5)}), "
                "or one described by its gene or by a table",
                mend="give --perturbation-features FILE with a row for it"
                + nearest(parts[0], {*seen, *prior.singles}),
            )
    return prior
