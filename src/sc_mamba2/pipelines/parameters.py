"""The base of every pipeline's parameter models: frozen, no unknown key, unit and range in words."""

from typing import Any

from pydantic import BaseModel, ConfigDict


class Parameters(BaseModel):
    """A group of parameters of `conf/base/parameters`, checked by Kedro before anything runs."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def flat_parameters(parameters: dict[str, Any], groups: tuple[str, ...]) -> dict[str, Any]:
    """Return the parameters of some groups by dotted name, for a report."""
    return _flat({name: parameters[name] for name in groups if name in parameters})


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    if hasattr(value, "model_dump"):  # Kedro puts models in the place of their dictionaries
        value = value.model_dump(mode="json")
    if not isinstance(value, dict):
        return {prefix: value}
    dot = f"{prefix}." if prefix else ""
    return {name: leaf for key in value for name, leaf in _flat(value[key], dot + key).items()}
