"""Roll-up: from fine types to broad ones, by the user's mapping. N cells, K classes."""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from sc_mamba2.errors import UserError

Rollup = dict[str, str]


def read_rollup(path: str, labels: tuple[str, ...]) -> Rollup:
    """Read a mapping of fine types to broad ones.

    Parameters
    ----------
    path
        A JSON object of fine to broad names, or a CSV with a header and two columns, fine and broad.
    labels
        The model's classes; each must be mapped. The mapping may contain more types.

    Raises
    ------
    UserError
        Rules `rollup-file`, `rollup-labels`.
    """
    rollup = _read(Path(path))
    missing = [label for label in labels if label not in rollup]
    if missing:
        raise UserError(
            "rollup-labels",
            found=f"no broad type for {', '.join(missing[:5])}{', …' if len(missing) > 5 else ''}",
            expected=f"one for each of the {len(labels)} types of the model",
            mend=f"add them to '{path}'; a type may be mapped to itself",
        )
    return rollup


def known_rollup(
    path: str | None, labels: tuple[str, ...], of_model: Rollup | None
) -> Rollup | None:
    """Return the user's mapping, else the one that the model was trained with."""
    return of_model if path is None else read_rollup(path, labels)


def roll_up(
    probability_NK: np.ndarray, labels: tuple[str, ...], rollup: Rollup
) -> tuple[np.ndarray, np.ndarray]:
    """Sum probabilities by broad type; return the best broad type (N,) and its probability (N,)."""
    broad = sorted({rollup[label] for label in labels})
    member_KJ = np.array([[rollup[label] == name for name in broad] for label in labels])
    probability_NJ = probability_NK.astype(np.float64) @ member_KJ
    best_N = probability_NJ.argmax(axis=1)
    return np.asarray(broad, dtype=object)[best_N], probability_NJ.max(axis=1)


def broad_truth(truth: pd.Series, rollup: Rollup) -> pd.Series:
    """Map true types to broad ones; broad names map to themselves, unmapped cells are dropped."""
    mapping = {name: name for name in rollup.values()} | rollup
    return truth.map(mapping).dropna()


def _read(path: Path) -> Rollup:
    try:
        if path.suffix == ".json":
            pairs = json.loads(path.read_text("utf-8"))
            if not isinstance(pairs, dict):
                raise ValueError("not an object of names")
        else:
            table = pd.read_csv(path, dtype=str, keep_default_na=False)
            if table.shape[1] != 2:
                raise ValueError(f"{table.shape[1]} columns")
            pairs = dict(table.itertuples(index=False, name=None))
    except (OSError, ValueError) as error:
        raise UserError(
            "rollup-file",
            found=f"'{path}' cannot be read as a mapping ({error})",
            expected="a JSON object of fine to broad types, or a CSV of two columns with a header",
            mend="correct annotation.labels.rollup, or the file",
        ) from error
    return {str(fine): str(broad) for fine, broad in pairs.items()}
