"""Where the configuration lies, and whether parameters given at run time exist in it."""

from functools import cache
from pathlib import Path
from typing import Any

from kedro.config import AbstractConfigLoader, OmegaConfigLoader

from sc_mamba2.errors import UserError, nearest
from sc_mamba2.files import shipped_conf
from sc_mamba2.tasks.shared.parameters import flatten, unknown_parameter

__all__ = ["CONFIG_LOADER", "SOURCES", "check_params", "choose_environment", "shipped_conf"]

# An environment changes single parameters of a group; it does not replace the group.
CONFIG_LOADER: dict[str, Any] = {
    "base_env": "base",
    "default_run_env": "local",
    "merge_strategy": {"parameters": "soft"},
}
SOURCES = ("input", "query", "checkpoint", "index")  # runtime parameters that the catalog reads
# Last words of parameters that may name something that is read.
READ = (
    *SOURCES, "inputs", "sources", "regulators", "reference_network", "candidates",
    "feature_file", "features", "vocabulary",
)  # fmt: skip


@cache
def shipped_parameters() -> dict[str, Any]:
    """Return the parameters of `conf/base` by dotted name; they are read once a process."""
    return flatten(load_configuration(shipped_conf(), "base")["parameters"])


def load_configuration(conf_source: Path, env: str | None) -> OmegaConfigLoader:
    """Return the configuration of an environment, without parameters given at run time."""
    return OmegaConfigLoader(str(conf_source), env=env, runtime_params={}, **CONFIG_LOADER)


def data_folder(loader: AbstractConfigLoader) -> str:
    """Return the folder of the layers that the runs of an environment write, within the project."""
    return str(loader["globals"].get("data", "data"))


def choose_environment(conf_source: Path, env: str | None) -> str | None:
    """Return the environment that Kedro is to read, or refuse what is not there.

    ``None`` leaves it to Kedro, which takes ``local`` where there is one.

    Raises
    ------
    UserError
        Rules ``conf-missing`` and ``env-unknown``.
    """
    if not (conf_source / "base").is_dir():
        raise UserError(
            "conf-missing",
            found=f"no folder '{conf_source / 'base'}'",
            expected="a folder with base/ and the environments",
            mend="correct --conf-source, or leave it out",
        )
    if env and not (conf_source / env).is_dir():
        environments = sorted(folder.name for folder in conf_source.iterdir() if folder.is_dir())
        raise UserError(
            "env-unknown",
            found=f"no environment '{env}' in '{conf_source.name}/'",
            expected=f"one of {', '.join(environments)}",
            mend="name one of them" + nearest(env, environments),
        )
    # Kedro insists on its default environment `local`, which a --conf-source may lack.
    return env or (None if (conf_source / "local").is_dir() else "base")


def check_params(params: dict[str, Any], conf_source: Path, env: str | None) -> None:
    """Refuse nested parameters that a configuration does not know.

    Raises
    ------
    UserError
        Rule ``parameter-unknown``, with the nearest known name.
    """
    if (conf_source, env) == (shipped_conf(), "base"):
        known = shipped_parameters()
    else:
        known = flatten(load_configuration(conf_source, env)["parameters"])
    names = {*SOURCES, *known}
    for name, value in flatten(params).items():
        if name not in names and value != {}:
            raise unknown_parameter(name, names)
