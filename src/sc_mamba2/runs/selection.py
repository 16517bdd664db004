"""What to run: all selections of `kedro run`, and the equivalent Kedro command line."""

import re
import shlex
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from sc_mamba2.errors import UserError
from sc_mamba2.tasks.shared.parameters import flatten
from sc_mamba2.versions.names import with_paths

# Filters of the graph: fields of `Selection` and arguments of Kedro's session.
PARTS = (
    "node_names", "tags", "namespaces", "from_nodes", "to_nodes", "from_inputs", "to_outputs",
)  # fmt: skip


class Selection(BaseModel):
    """A selection of nodes, an environment, and parameters."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    pipelines: tuple[str, ...] = ()
    env: str | None = None
    params: dict[str, Any] = {}
    node_names: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()
    from_nodes: tuple[str, ...] = ()
    to_nodes: tuple[str, ...] = ()
    from_inputs: tuple[str, ...] = ()
    to_outputs: tuple[str, ...] = ()
    runner: str | None = None
    load_versions: dict[str, str] = {}
    only_missing_outputs: bool = False
    conf_source: str | None = None

    def kedro_line(self) -> str:
        """Return the equivalent `kedro run` line, quoted for a shell.

        Kedro splits `--params` at every comma, so lists are appended as a comment, to be set in `conf/`.
        """
        params = {name: as_text(value) for name, value in flatten(self.params).items()}
        options = {
            "pipelines": ",".join(self.pipelines),
            "env": self.env,
            "params": ",".join(f"{k}={text}" for k, text in params.items() if "," not in text),
            "nodes": ",".join(self.node_names),
            **{name.replace("_", "-"): ",".join(getattr(self, name)) for name in PARTS[1:]},
            "runner": self.runner,
            "load-versions": ",".join(f"{k}:{v}" for k, v in self.load_versions.items()),
            "conf-source": self.conf_source,
        }
        words = [f"--{name}={shlex.quote(text)}" for name, text in options.items() if text]
        if self.only_missing_outputs:
            words.append("--only-missing-outputs")
        lists = ", ".join(f"{k}: {text}" for k, text in params.items() if "," in text)
        return " ".join(["kedro", "run", *words]) + (f"  # and in conf/: {lists}" if lists else "")

    def session_arguments(self) -> dict[str, Any]:
        """Return the arguments of `KedroSession.run`, except the runner."""
        return {
            "pipeline_names": list(self.pipelines) or None,
            "load_versions": self.load_versions or None,
            "only_missing_outputs": self.only_missing_outputs,
            **{name: getattr(self, name) or None for name in PARTS},
        }


def parse_params(items: list[str]) -> dict[str, Any]:
    """Parse ``a.b=1,c=x`` items into a nested dictionary; values are read as YAML.

    Raises
    ------
    UserError
        An item without ``=`` or without a key.
    """
    from omegaconf import OmegaConf

    # A comma inside brackets belongs to a list, not between two parameters.
    pairs = [pair.strip() for item in items for pair in re.split(r",(?![^\[\]]*\])", item)]
    parsed: dict[str, Any] = {}
    for pair in filter(None, pairs):
        name, equals, text = pair.partition("=")
        if not equals or not name.strip():
            raise _syntax(
                f"--params {pair}",
                "name=value, such as annotation.fine_tune.max_epochs=5",
                "write the name, an equals sign and the value; separate several by commas",
            )
        try:
            value = OmegaConf.from_dotlist([f"value={text}"])
            parsed[name.strip()] = OmegaConf.to_container(value)["value"]
        except Exception as error:  # various errors of YAML and OmegaConf
            raise _syntax(
                f"--params {pair}",
                "a value that YAML can read",
                "close brackets and quotes; quote text with special characters",
            ) from error
    return nest(parsed)


def nest(flat: dict[str, Any]) -> dict[str, Any]:
    """Return a dictionary with dotted keys as a nested one; the inverse of `flatten`.

    Raises
    ------
    UserError
        A name has a value and is also a group of parameters.
    """
    nested: dict[str, Any] = {}
    for name, value in flat.items():
        *groups, last = name.split(".")
        place = nested
        for group in groups:
            place = place.setdefault(group, {}) if isinstance(place, dict) else place
        if not isinstance(place, dict) or (
            isinstance(place.get(last), dict) and place[last] and not isinstance(value, dict)
        ):
            raise _syntax(
                f"'{name}' together with a parameter that contains it or is part of it",
                "a value, or values for the parameters in the group",
                "give single parameters, such as annotation.fine_tune.max_epochs=5",
            )
        place[last] = value
    return nested


def _syntax(found: str, expected: str, mend: str) -> UserError:
    return UserError("params-syntax", found=found, expected=expected, mend=mend)


def merge(under: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Merge two nested dictionaries; values in `over` take precedence."""
    return nest(flatten(under) | flatten(over))


def as_text(value: Any) -> str:
    """Return a parameter's value as written after ``--params``."""
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(as_text, value)) + "]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)


def given_params(chosen: dict[str, Any], written: list[str] | None) -> dict[str, Any]:
    """Return the nested parameters of a verb's options, overridden by ``--params``.

    Values ``data:NAME`` are replaced by the path of that data set.

    Parameters
    ----------
    chosen
        Values by dotted name; ``None`` if an option was not given.
    written
        Items for `parse_params`.
    """
    given = nest({name: value for name, value in chosen.items() if value is not None})
    return with_paths(merge(given, parse_params(written or [])), Path.cwd())
