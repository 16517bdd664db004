"""Names of data sets: what a name may be, and the path behind ``data:NAME``."""

import re
from pathlib import Path
from typing import Any

from sc_mamba2.errors import UserError
from sc_mamba2.versions.manifest import MANIFEST, data_items

RAW = Path("data/01_raw")
PREFIX = "data:"
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")


def check_name(name: str) -> None:
    """Refuse what is no name.

    Raises
    ------
    UserError
        Rule `data-name`.
    """
    if not _NAME.fullmatch(name):
        raise UserError(
            "data-name",
            found=f"the name '{name}'",
            expected="small letters, digits, - and _, such as pbmc_v1",
            mend="choose another name",
        )


def with_paths(value: Any, start: Path) -> Any:
    """Return parameters with a path in the place of every ``data:NAME``.

    Parameters
    ----------
    value
        A text, or lists and tables of such; ``rna=data:NAME`` counts too.
    start
        Folder in or below the project.

    Raises
    ------
    UserError
        As `path_of`.
    """
    if isinstance(value, dict):
        return {key: with_paths(part, start) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(with_paths(part, start) for part in value)
    if not isinstance(value, str):
        return value
    kind, equals, source = value.rpartition("=")
    return kind + equals + path_of(source, start) if source.startswith(PREFIX) else value


def path_of(source: str, start: Path) -> str:
    """Return the path behind ``data:NAME`` or ``data:NAME/FILE``.

    Parameters
    ----------
    source
        The name; with several files in its folder also which one.
    start
        Folder in or below the project.

    Raises
    ------
    UserError
        Rule `data-absent`: nothing of that name is here; rule `data-several`: a file has to be named.
    """
    name, _, inside = source.removeprefix(PREFIX).partition("/")
    check_name(name)
    root = next((one for one in (start, *start.parents) if (one / MANIFEST).is_file()), start)
    folder = root / RAW / name
    items = data_items(folder)
    chosen = [item for item in items if item.name == inside] if inside else items
    if len(chosen) == 1:
        return str(chosen[0])
    if not items:
        raise UserError(
            "data-absent",
            found=f"nothing in '{folder}'",
            expected=f"the data set '{name}'",
            mend=f"scm data pull {name}, or scm data add FILE --name {name}",
        )
    raise UserError(
        "data-several",
        found=f"'{source}' among {', '.join(item.name for item in items)}",
        expected="one of these",
        mend=f"name it: data:{name}/{items[0].name}",
    )
