"""Find the project of the working folder, without Kedro, so that `scm runs` and user errors are fast."""

import tomllib
from pathlib import Path

from sc_mamba2.errors import UserError

PACKAGE = "sc_mamba2"


def find_project(start: Path) -> Path:
    """Return the folder of this project at or above `start`.

    Raises
    ------
    UserError
        Rule ``project-missing``.
    """
    for folder in (start, *start.parents):
        if (found := _kedro_table(folder / "pyproject.toml")) is not None:
            if found.get("package_name") == PACKAGE:
                return folder
            break
    raise UserError(
        "project-missing",
        found=f"no sc-mamba2 project at or above '{start}'",
        expected="a clone of the project, or one made by `scm init` (pyproject.toml, conf/, data/)",
        mend="change to the project's folder, or make one: scm init FOLDER; "
        "`scm annotate` works in any folder",
    )


def _kedro_table(path: Path) -> dict[str, str] | None:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))["tool"]["kedro"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
