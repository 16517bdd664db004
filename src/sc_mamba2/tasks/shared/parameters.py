"""The base of every pipeline's parameter models: frozen, no unknown key, unit and range in words.

Also: parameters by dotted name.
"""

from typing import Any

from pydantic import BaseModel, ConfigDict


class Parameters(BaseModel):
    """A group of parameters of `conf/base/parameters`, checked by Kedro before anything runs."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def flat_parameters(parameters: dict[str, Any], groups: tuple[str, ...]) -> dict[str, Any]:
    """Return the parameters of some groups by dotted name, for a report."""
    return flatten({name: _plain(parameters[name]) for name in groups if name in parameters})


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


def _plain(value: Any) -> Any:
    """Return a model, which Kedro puts in the place of its dictionary, as that dictionary."""
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else value
