"""The facts of a run that its outputs carry in ``uns["scm"]``."""

from typing import Any


def output_facts(
    run_info: dict[str, Any],
    reading_report: dict[str, Any],
    checkpoint_sha256: str,
    vocabulary_sha256: str,
) -> dict[str, Any]:
    """Return who computed an output, from what and how.

    Parameters
    ----------
    run_info
        Facts of the run: version, command, seed, run id and more.
    reading_report
        What was read: ``expression`` and ``genes`` of a validation report.
    checkpoint_sha256, vocabulary_sha256
        Identity of the model and of its vocabulary.
    """
    return {name: str(run_info[name]) for name in ("version", "command", "seed", "run_id")} | {
        "checkpoint_sha256": checkpoint_sha256,
        "vocabulary_sha256": vocabulary_sha256,
        "expression": reading_report["expression"]["origin"],
        "genes_matched": reading_report["genes"]["matched"],
    }
