"""The shipped configuration: where it lies, and its parameters as the models that the nodes take."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from kedro.config import OmegaConfigLoader
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import BaseModel, ValidationError

from sc_mamba2.errors import UserError
from sc_mamba2.files import shipped_conf
from sc_mamba2.tasks.shared.parameters import flatten, unknown_parameter


def read_parameters(changes: Mapping[str, Any]) -> DictConfig:
    """Return the parameters of `conf/base` with some of them changed.

    Parameters
    ----------
    changes
        Values by dotted name, such as ``annotation.fine_tune.max_epochs``.

    Raises
    ------
    UserError
        Rule ``parameter-unknown``, with the nearest known name.
    """
    parameters = OmegaConf.create(shipped_parameters())
    OmegaConf.set_struct(parameters, True)
    for name, value in changes.items():
        try:
            OmegaConf.update(parameters, name, value, merge=False)
        except OmegaConfBaseException as error:
            raise unknown_parameter(name, flatten(shipped_parameters())) from error
    return parameters


def typed(parameters: DictConfig, group: str, model: type[BaseModel]) -> BaseModel:
    """Return a group of parameters as the model that the nodes take.

    Raises
    ------
    UserError
        Rule ``parameter-invalid``.
    """
    try:
        return model.model_validate(OmegaConf.to_container(OmegaConf.select(parameters, group)))
    except ValidationError as error:
        fault = error.errors()[0]
        name = ".".join(map(str, (group, *fault["loc"])))
        raise UserError(
            "parameter-invalid",
            found=f"{name} = {fault['input']!r}",
            expected=fault["msg"][0].lower() + fault["msg"][1:],
            mend=f"correct {name}",
        ) from error


@cache
def shipped_parameters() -> dict[str, Any]:
    """Return the parameters of `conf/base`, nested; they are read once a process."""
    loader = OmegaConfigLoader(
        str(shipped_conf()), env="base", base_env="base", default_run_env="base", runtime_params={}
    )
    return dict(loader["parameters"])
