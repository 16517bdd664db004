"""Shared parts of task outputs: the facts of a run in ``uns["scm"]``, and tables of vectors."""

from typing import Any

import numpy as np
import pandas as pd

from sc_mamba2.cells.expression import RESULTS

_OF_RUN = ("version", "command", "parameters", "seed", "run_id")


def output_facts(
    run_info: dict[str, Any],
    reading_report: dict[str, Any],
    checkpoint_sha256: str | None = None,
    vocabulary_sha256: str | None = None,
) -> dict[str, Any]:
    """Return the provenance of an output.

    Parameters
    ----------
    run_info
        Facts of the run, of which those in `_OF_RUN` are kept.
    reading_report
        A validation report with ``expression``, ``genes`` and ``remarks``.
    checkpoint_sha256, vocabulary_sha256
        Hashes of the model and its vocabulary, if there is a model.
    """
    facts: dict[str, Any] = {name: str(run_info[name]) for name in _OF_RUN if name in run_info}
    if checkpoint_sha256 is not None:
        facts |= {"checkpoint_sha256": checkpoint_sha256, "vocabulary_sha256": vocabulary_sha256}
    of_before = [one["remark"] for one in reading_report["remarks"] if one["rule"] == RESULTS]
    if of_before:
        facts["replaced"] = of_before[0]
    return facts | {
        "expression": reading_report["expression"]["origin"],
        "genes_matched": reading_report["genes"]["matched"],
    }


def vector_columns(vectors: np.ndarray, index: pd.Index | None = None) -> pd.DataFrame:
    """Return vectors, (N, D), as a table with the columns ``scm_0`` to ``scm_{D-1}``."""
    names = [f"scm_{column}" for column in range(vectors.shape[1])]
    return pd.DataFrame(vectors, index=index, columns=names)
