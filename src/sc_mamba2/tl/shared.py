"""What all tools share: the options that each has, what is refused, where results go."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import mudata
from anndata import AnnData

from sc_mamba2.cells.adding import Cells, add_results
from sc_mamba2.errors import UserError
from sc_mamba2.model import TaskModel

Checkpoint = str | Path | TaskModel
Changes = Mapping[str, Any]
Own = TypeVar("Own", AnnData, mudata.MuData)


def changes(
    own: Changes, layer: str | None, device: str | None, seed: int | None, params: Changes | None
) -> dict[str, Any]:
    """Return the parameters that a call changes, by dotted name.

    An argument that is `None` changes nothing; `params` count over all, also where they say `None`.
    """
    given = {**own, "ingestion.layer": layer, "compute.device": device, "compute.seed": seed}
    return {name: value for name, value in given.items() if value is not None} | dict(params or {})


def alone(checkpoint: Checkpoint | None, **others: object) -> None:
    """Refuse a trained checkpoint beside what only a training reads (rule ``options``)."""
    for name, value in others.items():
        if checkpoint is not None and value is not None:
            raise UserError(
                "options",
                found=f"checkpoint and {name}",
                expected="a trained checkpoint alone: nothing is trained",
                mend=f"leave {name} out",
            )


def needed(name: str, what: str) -> UserError:
    """Return the refusal of a call that lacks something (rule ``options``)."""
    return UserError("options", found=f"no {name}", expected=what, mend=f"add {name}=…")


def trained_model(checkpoint: Checkpoint, kind: type[TaskModel]) -> TaskModel:
    """Return a trained model as it is, or read it from its folder."""
    return checkpoint if isinstance(checkpoint, kind) else kind.from_pretrained(str(checkpoint))


def returned(cells: Own, results: Cells, key_added: str, copy: bool) -> Own | None:
    """Add results to the user's object, or to a copy that is returned."""
    target = cells.copy() if copy else cells
    add_results(target, results, key_added)
    return target if copy else None
