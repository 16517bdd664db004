from pathlib import Path

import pytest

from sc_mamba2.errors import UserError
from sc_mamba2.runs.project import find_project

ROOT = Path(__file__).parents[2]


def test_the_project_is_found_from_inside_it():
    assert find_project(ROOT / "src" / "sc_mamba2") == ROOT


@pytest.mark.parametrize(
    "text",
    ["", "[tool.other]", "[tool.kedro]\npackage_name = 'another'", "no toml", None],
    ids=["empty", "no Kedro", "another package", "no TOML", "no file"],
)
def test_another_folder_is_none(tmp_path, text):
    if text is not None:
        (tmp_path / "pyproject.toml").write_text(text)
    with pytest.raises(UserError, match="project-missing"):
        find_project(tmp_path)
