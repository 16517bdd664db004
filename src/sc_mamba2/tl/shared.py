"""Helpers of all tools: valid cells, facts of a call, trained models, results."""

from collections.abc import Mapping
from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import mudata
from anndata import AnnData

import sc_mamba2
from sc_mamba2.cells.adding import Cells, add_results, readable_cells
from sc_mamba2.errors import UserError
from sc_mamba2.model import TaskModel
from sc_mamba2.tasks.shared.parameters import changed_text, decided_by_model, flat_parameters
from sc_mamba2.tasks.shared.validation import ingest_and_validate
from sc_mamba2.tl.tool import called

Checkpoint = str | Path | TaskModel
Changes = Mapping[str, Any]
Groups = dict[str, Any]  # parameter models by group
Own = TypeVar("Own", AnnData, mudata.MuData)


class ValidCells(NamedTuple):
    """Cells as given, cells in the standard form, and the validation report."""

    raw: AnnData
    valid: AnnData
    report: dict[str, Any]


def valid_cells(adata: AnnData, groups: Groups) -> ValidCells:
    """Check cells and bring a copy into the standard form.

    Raises
    ------
    UserError
        As the command raises for a file.
    """
    raw = readable_cells(adata)
    return ValidCells(raw, *ingest_and_validate(raw, groups["ingestion"], groups["validation"]))


def run_facts(caller: str, groups: Groups, model: TaskModel | None = None) -> dict[str, Any]:
    """Return the facts of a call that are stored with its results, like those of a run.

    With a trained model, the parameters that it decides are those of its training.
    """
    values = flat_parameters(groups, tuple(groups))
    if model is not None:
        read = ("predict", "output", "calls", "labels", "keys", "population")
        own = {"compute", "ingestion", "validation"}
        own |= {f"{group}.{part}" for group in groups for part in read}
        values |= decided_by_model({"trained_with": model.trained_with}, own)
    defaults = {group: type(one)() for group, one in groups.items()}
    return {
        "version": sc_mamba2.__version__,
        "command": called() or caller,
        "parameters": changed_text(values, flat_parameters(defaults, tuple(groups))),
        "seed": groups["compute"].seed,
        "run_id": datetime.now(UTC).strftime("%Y-%m-%dT%H.%M.%S.%f")[:-3] + "Z",
    }


def note_training(model: TaskModel, groups: Groups) -> None:
    """Store the parameters of its training in a trained model."""
    model.trained_with = flat_parameters(groups, tuple(groups))


def needed(name: str, what: str) -> UserError:
    """Return the error for a missing argument (rule ``options``)."""
    return UserError("options", found=f"no {name}", expected=what, mend=f"add {name}=…")


def trained_model(checkpoint: Checkpoint, kind: type[TaskModel]) -> Any:
    """Return a copy of a trained model, or load it from its folder."""
    if isinstance(checkpoint, kind):
        return deepcopy(checkpoint)  # prediction moves it to the device
    return kind.from_pretrained(str(checkpoint))


def returned(cells: Own, results: Cells, key_added: str, copy: bool) -> Own | None:
    """Add results to the user's cells, or to a copy that is returned."""
    target = cells.copy() if copy else cells
    add_results(target, results, key_added)
    return target if copy else None
