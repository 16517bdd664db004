"""Features of perturbations: the embedding of the perturbed gene, or rows of the user's table."""

from collections.abc import Collection, Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from sc_mamba2.cells import base_and_dose, learn_names, parts_of, target_gene
from sc_mamba2.cells.perturbation_names import JOINT
from sc_mamba2.errors import UserError, nearest
from sc_mamba2.model import read_checkpoint
from sc_mamba2.tasks.perturbation.params import KeyParams
from sc_mamba2.tasks.shared.checkpoint_backbone import EMBEDDING


def gene_ids(names: Iterable[str]) -> dict[str, str]:
    """Map names of single perturbations to Ensembl ids, "" if the target is no gene."""
    return {name: target_gene(name) for name in names}


def pathway_targets(names: Iterable[str], keys: KeyParams) -> dict[str, str]:
    """Return the Ensembl ids for looking up pathways of single perturbations; none for compounds."""
    if keys.kind == "chemical" or not keys.pathways:
        return {}
    return gene_ids(sorted(set(names)))


def own_columns(names: Iterable[str], genes: tuple[str, ...], keys: KeyParams) -> dict[str, int]:
    """Return the column of each single perturbation's own gene, if measured; none for compounds.

    `genes` are the Ensembl ids of the columns.
    """
    if keys.kind == "chemical":
        return {}
    place = {ident: column for column, ident in enumerate(genes)}
    ids = gene_ids(sorted(set(names)))
    return {name: place[ident] for name, ident in ids.items() if ident in place}


def single_features(names: Iterable[str], keys: KeyParams) -> dict[str, np.ndarray]:
    """Return features of single perturbations as unit vectors.

    Parameters
    ----------
    names
        Names of single perturbations; the feature does not depend on the dose.
    keys
        Source of features: a table of the user, or the gene embedding of a checkpoint.

    Returns
    -------
    dict
        Vectors of length 1 by name; names without features are absent. All rows of a user's table are
        included, whatever `names` contains.

    Raises
    ------
    UserError
        Rule ``feature-file``, and those of a checkpoint.
    """
    if keys.feature_file is not None:
        table = _unit(_read_table(keys.feature_file))
        rules = learn_names(table, keys.rules)
        resolved = {rules.resolve(name): vector for name, vector in table.items()}
        dosed = {name: resolved.get(rules.resolve(base_and_dose(name)[0])) for name in names}
        return table | {name: vector for name, vector in dosed.items() if vector is not None}
    if keys.features is None or keys.kind == "chemical":
        return {}
    checkpoint = read_checkpoint(keys.features)
    embedding_VD = checkpoint.state[f"backbone.{EMBEDDING}"].float().numpy()
    ids = gene_ids(sorted(set(names)))
    rows = checkpoint.vocabulary.rows_of(ids.values())
    return _unit({name: embedding_VD[row] for name, row in zip(ids, rows, strict=True) if row >= 0})


def base_name(name: str, whole: Collection[str]) -> str:
    """Return a perturbation's name without its doses; for `whole` see `parts_of`."""
    return JOINT.join(sorted({base_and_dose(part)[0] for part in parts_of(name, whole)}))


def dose_distance(name: str, other: str, whole: Collection[str]) -> float:
    """Return the sum of absolute log10 dose ratios of two perturbations with one base name."""
    pairs = zip(_doses(name, whole), _doses(other, whole), strict=False)
    return float(sum(abs(np.log10(one / two)) for one, two in pairs))


def log_dose(name: str, whole: Collection[str]) -> float:
    """Return the sum of the log10 of a perturbation's doses, 0 if it has none."""
    return float(np.log10(_doses(name, whole)).sum())


def _doses(name: str, whole: Collection[str]) -> list[float]:
    dosed = sorted((base_and_dose(part) for part in parts_of(name, whole)), key=lambda one: one[0])
    return [1.0 if dose is None else dose for _, dose in dosed]


def joined_feature(
    name: str, singles: dict[str, np.ndarray], whole: Collection[str]
) -> np.ndarray | None:
    """Return the mean feature of a perturbation's parts, scaled to length 1; ``None`` if one is missing."""
    parts = parts_of(name, whole)
    known = [singles[part] for part in parts if part in singles]
    if len(known) < len(parts):
        return None
    return _unit({name: np.mean(known, axis=0)}).get(name)


def _unit(vectors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    lengths = {name: float(np.linalg.norm(vector)) for name, vector in vectors.items()}
    return {
        name: np.asarray(vector, dtype=np.float64) / lengths[name]
        for name, vector in vectors.items()
        if lengths[name] > 0
    }


def _read_table(path: str) -> dict[str, np.ndarray]:
    if not Path(path).is_file():
        known = [other.name for other in Path(path).absolute().parent.glob("*")]
        raise _refused(path, "no such file", nearest(Path(path).name, known))
    try:
        table = pd.read_csv(path, index_col=0)
        values = table.to_numpy(dtype=np.float64)
    except (ValueError, UnicodeDecodeError, pd.errors.ParserError) as error:
        raise _refused(path, f"it cannot be read ({error})") from error
    names = table.index.astype(str).str.strip()
    if not values.size or not np.isfinite(values).all() or not names.is_unique:
        raise _refused(path, "values that are missing or not numbers, or a duplicate name")
    return dict(zip(names, values, strict=True))


def _refused(path: str, why: str, hint: str = "") -> UserError:
    return UserError(
        "feature-file",
        found=f"the feature table '{path}': {why}",
        expected="a CSV: names of perturbations in the first column, then columns of numbers",
        mend="correct --perturbation-features" + hint,
    )
