"""Checks of a label column: whether it exists and holds labels, with enough cells per class.

Placeholders ("nan", "unknown", "unassigned", "doublet") are not labels: a model would learn them as a type.
"""

import logging

import pandas as pd

from sc_mamba2.cells.source_check import missing_column
from sc_mamba2.errors import UserError

MAX_CLASSES = 1000
_NOTHING = "nan, none, na, n/a, n.a., null, nil, nat, <na>, -, --, ?, ., #n/a"
_UNKNOWN = (
    "unknown, unknown cell, unknown cell type, unknown type, unassigned, not assigned, not available, "
    "not applicable, not provided, not determined, undetermined, undefined, missing, no label, "
    "unlabeled, unlabelled, not labeled, not labelled, unannotated, not annotated, unclassified, "
    "not classified, uncategorized, uncategorised, unspecified, not specified, tbd, n.d., n/d, unk, no call, "
    "not called, uncalled, indeterminate"
)
_NO_CELL = (
    "doublet, doublets, multiplet, multiplets, low quality, low quality cell, low quality cells, poor quality, "
    "debris, dead cell, dead cells, empty droplet, empty droplets, artifact, artefact, junk, failed qc"
)
NOTHING = frozenset(_NOTHING.split(", "))  # no value in any column
_ANYWHERE = NOTHING | set(_UNKNOWN.split(", "))  # nor a label
ABSENCE = _ANYWHERE | set(_NO_CELL.split(", "))  # nor a cell type
_log = logging.getLogger(__name__)
FEW_PER_TYPE = 5
WELL_FILLED = 3  # mean cells per class below which a column is an identifier, not a label


def read_labels(obs: pd.DataFrame, label_key: str, keep_absence_words: bool = False) -> pd.Series:
    """Return the labels as text, ``None`` where missing; the number of placeholders is logged.

    Parameters
    ----------
    obs
        The cells' table.
    label_key
        Column of `obs` that holds the label.
    keep_absence_words
        Whether placeholders such as ``unknown`` and ``nan`` count as labels; else they are missing.

    Raises
    ------
    UserError
        The column is absent, empty, continuous, has one class, or names every cell.
    """
    check_column(obs, label_key, "label-missing", "--label-key")
    column = obs[label_key].reset_index(drop=True)  # cell names may repeat
    present = _present(column)
    if pd.api.types.is_float_dtype(present) and not (present % 1 == 0).all():
        example = present[present % 1 != 0].iloc[0]
        raise UserError(
            "label-numeric",
            found=f"obs['{label_key}'] holds numbers that are not whole (e.g. {example:.4g})",
            expected="names of cell types, or whole cluster numbers",
            mend="choose the column with the cell types",
        )
    text = known_labels(column, keep_absence_words)
    words = {} if keep_absence_words else placeholder_counts(column)
    note = f": {placeholder_text(words)} (to keep them: keep_absence_words=true)" if words else ""
    classes = text.nunique()
    if classes == 0:
        raise UserError(
            "label-empty",
            found=f"obs['{label_key}'] has no labels{note}",
            expected="a label for most cells",
            mend="choose another column with --label-key",
        )
    if classes == 1:
        raise UserError(
            "label-one-class",
            found=f"obs['{label_key}'] has only one class: '{text.iloc[0]}'{note}",
            expected="at least two classes",
            mend="choose another column with --label-key, or add cells of another type",
        )
    if classes > MAX_CLASSES or classes * WELL_FILLED > max(len(text), 6):
        raise UserError(
            "label-too-many",
            found=f"obs['{label_key}'] has {classes:,} classes for {len(text):,} cells",
            expected=f"at most {MAX_CLASSES:,} classes and {WELL_FILLED} cells per class on average",
            mend="choose the column with the cell types, not an identifier",
        )
    if words:
        _log.warning("obs['%s']: %s", label_key, placeholder_text(words))
    _log_similar_classes(text, label_key, "type")
    counts = text.value_counts()
    if len(few := counts[counts < FEW_PER_TYPE]):
        listed = ", ".join(f"'{name}' ({count})" for name, count in few[:6].items())
        _log.warning(
            "obs['%s']: types with too few cells to learn much from: %s", label_key, listed
        )
    labels = text.reindex(column.index).astype(object).where(lambda labels: labels.notna(), None)
    return labels.set_axis(obs.index)


def known_labels(column: pd.Series, keep_absence_words: bool = False) -> pd.Series:
    """Return the labels present as text (`label_text`), without placeholders."""
    text = label_text(column)
    return text if keep_absence_words else text[~is_one_of(text, ABSENCE)]


def placeholder_counts(column: pd.Series, words: frozenset[str] = ABSENCE) -> dict[str, int]:
    """Count the placeholders in a column, as spelled."""
    text = label_text(column)
    found = text[is_one_of(text, words)].value_counts()
    return {str(word): int(count) for word, count in found.items()}


def placeholder_columns(obs: pd.DataFrame) -> dict[str, dict[str, int]]:
    """Count the placeholders in every column that may hold labels; columns without any are left out."""
    found = {}
    for name in obs.columns[~obs.columns.duplicated(keep=False)]:
        column = obs[name]
        textual = column.dtype.name in ("object", "string", "category")
        if (
            textual
            and column.nunique() <= MAX_CLASSES
            and (words := placeholder_counts(column, _ANYWHERE))
        ):
            found[str(name)] = words
    return found


def placeholder_text(words: dict[str, int]) -> str:
    """Describe how many cells have no label, and their placeholders."""
    listed = ", ".join(f"'{word}' ({count:,})" for word, count in list(words.items())[:5])
    return f"{sum(words.values()):,} cells have a word for a missing label, {listed}"


def _plain(text: pd.Series) -> pd.Series:
    """Return text in lower case, with words separated by single spaces."""
    return text.str.lower().str.replace(r"[\s_]+|(?<=\w)-(?=\w)", " ", regex=True)


def is_one_of(text: pd.Series, words: frozenset[str]) -> pd.Series:
    """Return which values are among the placeholders `words`; "unknown 2" is one, "NA_12878" is not."""
    every = pd.Series(text.unique(), dtype=str)  # even a million cells have few labels
    plain = _plain(every)
    stem = plain.str.replace(r" \d+$", "", regex=True)
    return text.isin(every[plain.isin(words) | stem.isin(words - NOTHING)])


def _log_similar_classes(text: pd.Series, key: str, what: str) -> None:
    """Log the classes that differ from another only in case, blanks, hyphens or a plural."""
    classes = pd.Series(sorted(text.unique()), dtype=str)
    alike = classes[_plain(classes).str.rstrip("s").duplicated(keep=False)]
    if len(alike):
        listed = ", ".join(f"'{name}'" for name in alike[:6])
        message = f"names differ only in case, spaces or plural; each is a separate {what}"
        _log.warning("obs['%s']: %s: %s", key, message, listed)


def check_column(obs: pd.DataFrame, column: str, rule: str, option: str) -> None:
    """Refuse a missing column; `option` is the setting that names it."""
    if column not in obs.columns:
        raise missing_column(column, obs.columns, rule, option)


def full_column(obs: pd.DataFrame, key: str, what: str) -> pd.Series:
    """Return a column of obs as text; refuse a missing column or a cell without a value.

    `what` the column holds makes the rules, such as ``batch-missing`` and ``batch-incomplete``.
    """
    check_column(obs, key, f"{what}-missing", f"--{what}-key")
    text = label_text(obs[key])
    text = text[~is_one_of(text, NOTHING)]
    if missing := len(obs) - len(text):
        raise UserError(
            f"{what}-incomplete",
            found=f"{missing:,} of {len(obs):,} cells without a {what} in obs['{key}']",
            expected=f"a {what} for every cell",
            mend="fill the column, or remove those cells",
        )
    _log_similar_classes(text, key, what)
    return text.astype(str)


def label_text(column: pd.Series) -> pd.Series:
    """Return the labels present as text; whole numbers have no decimal point."""
    present = _present(column)
    if pd.api.types.is_float_dtype(present) and (present % 1 == 0).all():
        present = present.astype("int64")
    text = present.astype(str).str.strip()
    return text[text != ""]


def _present(column: pd.Series) -> pd.Series:
    """Return the labels that are not missing, categories in their own type."""
    present = column.dropna()
    if isinstance(present.dtype, pd.CategoricalDtype):
        present = present.astype(present.cat.categories.dtype)
    return present
