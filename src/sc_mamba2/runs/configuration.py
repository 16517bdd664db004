"""Read the configuration, and check that parameters given at run time exist in it."""

import contextlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from sc_mamba2.errors import UserError, nearest
from sc_mamba2.files import shipped_conf
from sc_mamba2.model.folder import checkpoint_folder
from sc_mamba2.tasks.shared.parameters import flatten, unknown_parameter

if TYPE_CHECKING:
    from kedro.config import AbstractConfigLoader, OmegaConfigLoader

__all__ = ["CONFIG_LOADER", "SOURCES", "check_params", "choose_environment", "shipped_conf"]


def _folder_of(name: str | None) -> str | None:
    """Resolve ``${checkpoint_folder:NAME}`` of the catalog to the folder of a checkpoint."""
    return None if name is None else str(checkpoint_folder(name))


# An environment changes single parameters of a group; it does not replace the group.
CONFIG_LOADER: dict[str, Any] = {
    "base_env": "base",
    "default_run_env": "local",
    "merge_strategy": {"parameters": "soft"},
    "custom_resolvers": {"checkpoint_folder": _folder_of},
}
SOURCES = ("input", "query", "checkpoint", "index")  # runtime parameters that the catalog reads
SUFFIX = "embedded_suffix"  # likewise: suffix of the embedded cells, .h5ad or .zarr
# Last parts of parameters that may name an input.
READ = (
    *SOURCES, "inputs", "sources", "regulators", "reference_network", "candidates",
    "feature_file", "features", "vocabulary", "named_genes", "imputed_genes",
)  # fmt: skip


def read_parameters(conf_source: Path, env: str | None) -> dict[str, Any]:
    """Return the parameters in the files of an environment, without resolving interpolations."""
    return _read(conf_source, env, "parameters")


def read_globals(conf_source: Path, env: str | None) -> dict[str, Any]:
    """Return the globals in the files of an environment, without resolving interpolations."""
    return _read(conf_source, env, "globals")


def _read(conf_source: Path, env: str | None, word: str) -> dict[str, Any]:
    """Read the files that Kedro would read, without loading Kedro, which takes seconds."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    found: dict[str, Any] = {}
    for folder in dict.fromkeys((conf_source / "base", conf_source / (env or "local"))):
        for file in sorted(folder.rglob("*.y*ml")):
            if any(part.startswith(word) for part in file.relative_to(folder).parts):
                with contextlib.suppress(yaml.YAMLError, ValueError):  # Kedro reports them
                    found = merge_tables(found, yaml.load(file.read_text("utf-8"), loader) or {})
    return found


def merge_tables(under: Any, over: Any) -> Any:
    """Merge two nested tables; values in `over` take precedence."""
    if isinstance(under, dict) and isinstance(over, dict):
        return under | {name: merge_tables(under.get(name), part) for name, part in over.items()}
    return over


@cache
def shipped_parameters() -> dict[str, Any]:
    """Return the parameters of `conf/base` by dotted name, cached per process."""
    return flatten(load_configuration(shipped_conf(), "base")["parameters"])


def load_configuration(conf_source: Path, env: str | None) -> "OmegaConfigLoader":
    """Return the configuration of an environment, without parameters given at run time."""
    from kedro.config import OmegaConfigLoader

    return OmegaConfigLoader(str(conf_source), env=env, runtime_params={}, **CONFIG_LOADER)


def data_folder(loader: "AbstractConfigLoader") -> str:
    """Return the data folder that an environment's runs write to, relative to the project."""
    return str(loader["globals"].get("data", "data"))


def choose_environment(conf_source: Path, env: str | None) -> str | None:
    """Return the environment that Kedro is to read; raise if it does not exist.

    ``None`` leaves it to Kedro, which uses ``local`` if it exists.

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
            mend="correct --conf-source, or omit it",
        )
    if env and not (conf_source / env).is_dir():
        environments = sorted(folder.name for folder in conf_source.iterdir() if folder.is_dir())
        raise UserError(
            "env-unknown",
            found=f"no environment '{env}' in '{conf_source.name}/'",
            expected=f"one of {', '.join(environments)}",
            mend="choose one of them" + nearest(env, environments),
        )
    # Kedro insists on its default environment `local`, which a --conf-source may lack.
    return env or (None if (conf_source / "local").is_dir() else "base")


def check_params(params: dict[str, Any], conf_source: Path, env: str | None) -> None:
    """Check that nested parameters exist in a configuration.

    Raises
    ------
    UserError
        Rule ``parameter-unknown``, with the closest known name.
    """
    names = {*SOURCES, SUFFIX, *flatten(read_parameters(conf_source, env))}
    for name, value in flatten(params).items():
        if name not in names and value != {}:
            raise unknown_parameter(name, names)
