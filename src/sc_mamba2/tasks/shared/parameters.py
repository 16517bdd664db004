"""The base class of all parameter models, and parameters by dotted name.

The models define the defaults; `conf/base/parameters` repeats them.
"""

import json
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from sc_mamba2.errors import UserError, nearest
from sc_mamba2.remote import cleared

# Parameters used only in training, in groups that prediction also reads.
OF_TRAINING = frozenset(
    {
        *(f"annotation.labels.{name}" for name in ("key", "batch_key", "test_share")),
        "annotation.labels.validation_share",
        "annotation.calls.calibrate",
        "annotation.calls.coverage",
        "batch_correction.keys.batch_key",
        *(f"multiomics.keys.{name}" for name in ("batch_key", "held_out_key", "held_out_value")),
        *(f"multiomics.keys.{name}" for name in ("held_out_share", "validation_share")),
    }
)


class Parameters(BaseModel):
    """A group of parameters of `conf/base/parameters`, checked by Kedro before anything runs."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _each_once(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(names)) != len(names):
        raise ValueError("Name each once")
    return names


_HUMAN = ("multiomics", "perturbation", "reverse_perturbation")  # look up more than genes
EachOnce = AfterValidator(_each_once)  # no duplicates in a tuple of names


def build_parameters(
    models: Mapping[str, type[BaseModel]], changes: Mapping[str, Any]
) -> dict[str, Any]:
    """Build the parameters of every group from the defaults and some changes.

    Parameters
    ----------
    models
        Parameter models by group name.
    changes
        Values by dotted name, such as ``annotation.fine_tune.max_epochs``.

    Raises
    ------
    UserError
        ``parameter-unknown``, with the closest known name; ``parameter-invalid``; ``species-task``.
    """
    values = {group: model().model_dump() for group, model in models.items()}
    known = flatten(values)
    for name, value in flatten(dict(changes)).items():
        if name not in known:
            raise unknown_parameter(name, known)
        *groups, last = name.split(".")
        place: Any = values
        for group in groups:
            place = place[group]
        place[last] = value
    built = {group: validated(group, model, values[group]) for group, model in models.items()}
    check_species(models, values.get("ingestion", {}).get("species"))
    return built


def check_species(tasks: Iterable[str], species: str | None) -> None:
    """Raise rule ``species-task`` if a task or pipeline does not support the species."""
    human = [name for name in tasks if name.startswith(_HUMAN)]
    if human and species not in (None, "human"):
        raise UserError(
            "species-task",
            found=f"ingestion.species={species} for {human[0]}",
            expected="human cells, since it looks up targets, proteins or peaks among human genes",
            mend="map the names to human genes first",
        )


def unknown_parameter(name: str, known: Iterable[str]) -> UserError:
    """Return the error for an unknown parameter (rule ``parameter-unknown``)."""
    return UserError(
        "parameter-unknown",
        found=f"the parameter '{name}'",
        expected="a single parameter of conf/base/parameters",
        mend="correct its name" + nearest(name, known),
    )


def flat_parameters(parameters: dict[str, Any], groups: tuple[str, ...]) -> dict[str, Any]:
    """Return the parameters of some groups by dotted name, with secrets removed from URLs."""
    return cleared(
        flatten({name: plain(parameters[name]) for name in groups if name in parameters})
    )


def decided_by_model(config: Mapping[str, Any], own: Collection[str]) -> dict[str, Any]:
    """Return the parameters that the trained model decides, rather than the run that predicts with it.

    Parameters
    ----------
    config
        A checkpoint's ``config.json``; its ``trained_with``, if present, has the parameters of its
        training by dotted name.
    own
        Groups that the run reads itself, such as ``annotation.predict``, except `OF_TRAINING`.
    """
    return {
        name: value
        for name, value in config.get("trained_with", {}).items()
        if name in OF_TRAINING or not any(name.startswith(f"{group}.") for group in own)
    }


def changed_text(values: Mapping[str, Any], defaults: Mapping[str, Any]) -> str:
    """Return as JSON the parameters that differ from their defaults, by dotted name."""
    changed = {name: value for name, value in values.items() if value != defaults.get(name)}
    return json.dumps(dict(sorted(changed.items())), ensure_ascii=False, default=str)


def flatten(nested: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return a nested dictionary with dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in nested.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict) and value:
            flat |= flatten(value, name + ".")
        else:
            flat[name] = value
    return flat


def validated(group: str, model: type[BaseModel], values: dict[str, Any]) -> BaseModel:
    """Build the parameters of a group; raise rule ``parameter-invalid`` for the first wrong one."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        fault = error.errors()[0]
        name = ".".join(map(str, (group, *fault["loc"])))
        raise UserError(
            "parameter-invalid",
            found=f"{name} = {fault['input']!r}",
            expected=fault["msg"][0].lower() + fault["msg"][1:],
            mend=f"correct {name}",
        ) from error


def plain(value: Any) -> Any:
    """Turn parameter models, which Kedro builds from dictionaries, back into dictionaries."""
    if isinstance(value, dict):
        return {name: plain(part) for name, part in value.items()}
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else value
