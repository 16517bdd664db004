"""Where the configuration lies, and whether parameters given at run time exist in it."""

from pathlib import Path
from typing import Any

from kedro.config import OmegaConfigLoader

import sc_mamba2
from sc_mamba2.errors import UserError, nearest
from sc_mamba2.runs.selection import flatten

# An environment changes single parameters of a group; it does not replace the group.
CONFIG_LOADER: dict[str, Any] = {
    "base_env": "base",
    "default_run_env": "local",
    "merge_strategy": {"parameters": "soft"},
}
SOURCES = ("input", "query", "checkpoint")  # runtime parameters that the catalog reads


def shipped_conf() -> Path:
    """Return the configuration that ships with the package, or the project's own in a checkout."""
    package = Path(sc_mamba2.__file__).parent
    inside = package / "_conf"
    return inside if inside.is_dir() else package.parents[1] / "conf"


def check_params(params: dict[str, Any], conf_source: Path, env: str | None) -> None:
    """Refuse parameters that the configuration does not know.

    Parameters
    ----------
    params
        Nested parameters given at run time.
    conf_source, env
        The configuration that they are laid over.

    Raises
    ------
    UserError
        Rule ``parameter-unknown``, with the nearest known name.
    """
    loader = OmegaConfigLoader(str(conf_source), env=env, runtime_params={}, **CONFIG_LOADER)
    known = flatten(loader["parameters"])
    names = {*SOURCES, *known}
    for name, value in flatten(params).items():
        if name not in names and value != {}:
            raise UserError(
                "parameter-unknown",
                found=f"the parameter '{name}'",
                expected="a single parameter of conf/base/parameters",
                mend="correct its name" + nearest(name, names),
            )
