"""The guide of CONTRIBUTING.md, followed once: a toy task in a copy of the tree, and the files that it took."""

import filecmp
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
COPIED = ("src", "conf", "docs", "README.md", "dvc.yaml", "pyproject.toml", "mkdocs.yml")
MAX_FILES = 12

NEW = {
    "src/sc_mamba2/tasks/toy.py": '''"""The toy task: how many genes a cell expresses."""

from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from pydantic import Field

from sc_mamba2.reporting import Section, Table, task_report
from sc_mamba2.tasks.shared.parameters import Parameters


class CountParams(Parameters):
    """What counts as expressed."""

    above: float = Field(0.0, ge=0, description="log-normalised value above which a gene counts")


class ToyParams(Parameters):
    """All parameters of the toy task."""

    count: CountParams = CountParams()


def count_genes(valid_cells: AnnData, count: CountParams) -> pd.DataFrame:
    """Count the expressed genes of every cell."""
    genes_N = np.asarray((valid_cells.X > count.above).sum(axis=1)).ravel()
    return pd.DataFrame({"cell": valid_cells.obs_names, "genes": genes_N})


def score(genes: pd.DataFrame, run_info: dict[str, Any]) -> dict[str, Any]:
    """Return the contents of ``metrics.json``."""
    mean = {"mean_genes": float(genes["genes"].mean())}
    return {"model": mean, "baselines": {}, "ablations": {}, "data": {}, "run": run_info}


def report(metrics: dict[str, Any]) -> str:
    """Write the one-file HTML report."""
    table = Table(["mean"], [[str(metrics["model"]["mean_genes"])]], "Genes a cell.")
    return task_report("Toy", ["Genes a cell."], [Section("Result", tables=[table])], {}, {})
''',
    "src/sc_mamba2/pipelines/toy.py": '''"""The toy pipeline."""

from kedro.pipeline import Pipeline

from sc_mamba2.pipelines.shared import REFERENCE, namespaced, step
from sc_mamba2.tasks.toy import count_genes, report, score


def create_pipeline() -> Pipeline:
    """Return the pipeline that counts."""
    nodes = [
        step(count_genes, "valid_cells params:count", "genes"),
        step(score, "genes run_info", "metrics", tags="evaluation"),
        step(report, "metrics", "report", tags="reporting"),
    ]
    return namespaced(Pipeline(nodes), "toy", REFERENCE)
''',
    "src/sc_mamba2/tl/toy.py": '''"""`tl.toy`: how many genes a cell expresses."""

from anndata import AnnData

from sc_mamba2.cells.adding import WORD
from sc_mamba2.tasks.shared.parameters import build_parameters
from sc_mamba2.tasks.shared.params import SHARED_GROUPS
from sc_mamba2.tasks.toy import ToyParams, count_genes
from sc_mamba2.tl.shared import Changes, returned, valid_cells
from sc_mamba2.tl.tool import tool


@tool("toy")
def toy(
    adata: AnnData, *, key_added: str = WORD, copy: bool = False, options: Changes
) -> AnnData | None:
    """Count the genes of every cell.

    Parameters
    ----------
    options
        Those of the verb.
    """
    groups = build_parameters(SHARED_GROUPS | {"toy": ToyParams}, options)
    genes = count_genes(valid_cells(adata, groups).valid, groups["toy"].count)
    results = AnnData(obs=adata.obs[[]], uns={"scm_genes": genes})
    return returned(adata, results, key_added, copy)
''',
    "conf/base/catalog/toy.yml": """toy.genes:
  type: sc_mamba2.datasets.CSVDataset
  filepath: data/07_model_output/toy/genes.csv
""",
    "conf/base/parameters/toy.yml": "toy:\n  count:\n    above: 0.0\n",
    "docs/toy.md": "# Toy\n\n`scm toy CELLS --output GENES.csv` counts genes.\n",
    "notebooks/toy.ipynb": json.dumps({"cells": [], "metadata": {}, "nbformat": 4}),
    "tests/tasks/test_toy.py": """import anndata as ad
import numpy as np
from scipy import sparse

from sc_mamba2.tasks.toy import CountParams, count_genes


def test_values_above_the_limit_count():
    cells = ad.AnnData(sparse.csr_matrix(np.array([[0.0, 1.0], [2.0, 3.0]])))
    assert list(count_genes(cells, CountParams(above=1.5))["genes"]) == [0, 2]
""",
}
# In `tasks/toy/task.py` if the task had a folder of its own.
ROW = """from sc_mamba2.tasks.shared.row import RUN, Task, cells_option, output_option, read_option

TOY = Task(
    pipeline="toy",
    verb="toy",
    question="how many genes a cell expresses",
    pipelines={"toy": "create_pipeline"},
    reads={"toy": {"input": ()}},
    result="genes",
    suffix=".csv",
    options=(
        cells_option("CELLS", "Cells to count in."),
        output_option("The .csv file to write."),
        Option("above", "Value above which a gene counts.", "toy.count.above", float, tool="above"),
        read_option(),
        *RUN,
    ),
    help="Count the genes of every cell.",
)

TASKS = {"""
EDITS = {
    "src/sc_mamba2/tasks/table.py": [("TASKS = {", ROW), ("DENOISE)\n", "DENOISE, TOY)\n")],
    "docs/README.md": [
        ("## The model\n", "| [Toy](toy.md) | how many genes? | `scm toy` |\n\n## The model\n")
    ],
    "README.md": [
        ("\nAll pages:", "| how many genes? | `scm toy` | [toy](docs/toy.md) |\n\nAll pages:")
    ],
}
CALL = """
import sc_mamba2 as scm
from sc_mamba2.cells import simulate_cells
cells = simulate_cells(12)
scm.tl.toy(cells, above=1.0)
print(int(cells.uns["scm_genes"]["genes"].sum()))
"""


@pytest.fixture(scope="module")
def tree(tmp_path_factory) -> Path:
    """Give a copy of the tree with the toy task in it."""
    tree = tmp_path_factory.mktemp("tree")
    ignored = shutil.ignore_patterns("__pycache__", "local", "images")
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, tree / name, ignore=ignored)
        else:
            shutil.copy(source, tree / name)
    for name, text in NEW.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text, "utf-8")
    for name, pairs in EDITS.items():
        text = (tree / name).read_text("utf-8")
        for old, new in pairs:
            assert text.count(old) == 1, (name, old)
            text = text.replace(old, new)
        (tree / name).write_text(text, "utf-8")
    run(tree, "docs/make/dvc_stages.py")
    return tree


def run(tree: Path, *words: object) -> str:
    environment = os.environ | {"PYTHONPATH": str(tree / "src"), "KEDRO_DISABLE_TELEMETRY": "1"}
    command = [sys.executable, "-W", "ignore", *map(str, words)]
    done = subprocess.run(
        command, cwd=tree, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_it_takes_few_files(tree: Path):
    present = [
        path for path in tree.rglob("*") if path.is_file() and "__pycache__" not in path.parts
    ]
    touched = [
        path.relative_to(tree).as_posix()
        for path in present
        if not (ROOT / path.relative_to(tree)).is_file()
        or not filecmp.cmp(path, ROOT / path.relative_to(tree), shallow=False)
    ]
    assert set(touched) == {*NEW, *EDITS, "dvc.yaml"}
    assert len(touched) <= MAX_FILES


def test_it_has_a_verb_a_pipeline_a_tool_and_a_stage(tree: Path):
    words = ("-m", "sc_mamba2", "toy", "simulated:three-types", "--above", "1.0", "-o", "out.csv")
    run(tree, *words, "--quiet")
    by_verb = pd.read_csv(tree / "out.csv")
    assert by_verb["genes"].sum() > 0 and (tree / "out.scm" / "report.html").is_file()
    assert int(run(tree, "-c", CALL)) > 0
    assert "cmd: scm run --pipeline toy --quiet" in (tree / "dvc.yaml").read_text("utf-8")
