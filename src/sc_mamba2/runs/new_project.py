"""Create a user's project: the shipped configuration, empty data layers, and `project_template`."""

import json
import shutil
from importlib.metadata import version
from pathlib import Path

from sc_mamba2.errors import UserError
from sc_mamba2.files import make_folder, scratch_folder
from sc_mamba2.runs.configuration import shipped_conf

ENVIRONMENTS = ("base", "test", "gpu")
LAYERS = (
    "01_raw", "02_intermediate", "03_primary", "04_feature",
    "05_model_input", "06_models", "07_model_output", "08_reporting",
)  # fmt: skip
_TEMPLATE = Path(__file__).parent / "project_template"
# Under other names, or git and the linters would apply these files to this repository.
_FILES = {
    "project.toml": "pyproject.toml",
    "README.md": "README.md",
    "dvc.yaml": "dvc.yaml",
    "gitignore": ".gitignore",
    "results.ipynb": "notebooks/results.ipynb",
}


def new_project(folder: Path) -> Path:
    """Create a project, named after its folder, in a new or empty folder; return the absolute folder.

    Raises
    ------
    UserError
        Rule ``init-folder``: the folder is not empty. Nothing is written then.
    """
    folder = folder.resolve()
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        raise UserError(
            "init-folder",
            found=f"files in '{folder}'" if folder.is_dir() else f"a file at '{folder}'",
            expected="an empty folder, or none",
            mend="choose another folder",
        )
    make_folder(folder.parent)
    with scratch_folder(folder) as scratch:
        draft = scratch / "project"
        _write(draft, folder.name)
        if not folder.exists():
            draft.replace(folder)
            return folder
        # An empty folder is filled, not replaced: it may be the working folder.
        for part in sorted(draft.iterdir()):
            part.replace(folder / part.name)
    return folder


def _write(draft: Path, name: str) -> None:
    for environment in ENVIRONMENTS:
        shutil.copytree(shipped_conf() / environment, draft / "conf" / environment)
    for place in ("conf/local", "src", *(f"data/{layer}" for layer in LAYERS)):
        (draft / place).mkdir(parents=True)
        (draft / place / ".gitkeep").touch()
    words = {"@NAME@": json.dumps(name), "@TITLE@": name, "@KEDRO@": version("kedro")}
    for source, target in _FILES.items():
        text = (_TEMPLATE / source).read_text(encoding="utf-8")
        for word, value in words.items():
            text = text.replace(word, value)
        (draft / target).parent.mkdir(exist_ok=True)
        (draft / target).write_text(text, encoding="utf-8")
