"""Writes `dvc.yaml`: a stage a task, from the table of tasks, its pipeline and the catalog.

python docs/make/dvc_stages.py
"""

import re
from pathlib import Path
from typing import Any

import yaml
from kedro.config import OmegaConfigLoader
from kedro.io import DataCatalog

from sc_mamba2.pipelines.registry import named_pipelines
from sc_mamba2.runs.configuration import CONFIG_LOADER
from sc_mamba2.tasks.shared.row import Task
from sc_mamba2.tasks.table import TASKS

ROOT = Path(__file__).parents[2]
HEAD = """\
# Made by `python docs/make/dvc_stages.py` from the table of tasks; a test holds them together.
# The stages that are worth keeping: `dvc repro` runs those whose code, parameters or sources changed.
# Paths are those of conf/base, parameters those that the pipeline reads. How to use it, with experiments,
# stands in docs/data.md.
#
# dvc.lock is not committed here: there is no remote from which another clone could fetch what it names.
# Commit yours (`git add dvc.lock`): metrics, plots and experiments are compared with what it names. Weights
# repeat with the seed on one machine; metrics.json and .h5ad carry the run's id and time, so that their
# hashes differ from run to run.
"""
SHARED = ["src/sc_mamba2", "conf/base/catalog", "conf/base/globals.yml"]


def stages_file() -> str:
    """Return the contents of `dvc.yaml`."""
    entries = OmegaConfigLoader(str(ROOT / "conf"), env="base", **CONFIG_LOADER)["catalog"]
    catalog = DataCatalog.from_config(entries)
    stages = {task.pipeline: stage(task, catalog) for task in TASKS.values()}
    plots = [
        {f"{name} loss": {"x": "epoch", "y": {path: ["training_loss", "validation_loss"]}}}
        for name, one in stages.items()
        for path in one["plots"]
        if path.endswith(".csv")
    ]
    content = {"stages": stages, "plots": plots}
    return HEAD + yaml.safe_dump(content, sort_keys=False, width=1000, default_flow_style=False)


def stage(task: Task, catalog: DataCatalog) -> dict[str, Any]:
    """Return the stage of a task: what it reads and what it keeps."""
    name = task.pipeline
    pipeline = named_pipelines()[name]
    groups = {
        i.removeprefix("params:").split(".")[0] for i in pipeline.inputs() if i[:7] == "params:"
    }
    made = pipeline.all_outputs()

    def kept(*datasets: str) -> list[str]:
        names = [f"{name}.{one}" for one in datasets]
        paths = [getattr(catalog[one], "filepath", None) for one in names if one in made]
        return [str(path) for path in paths if path]  # what stays in memory has none

    words = ["scm run --pipeline", name, *([task.stage] if task.stage else []), "--quiet"]
    read = re.findall(r"checkpoint=([\w/]+)", task.stage)
    return {
        "cmd": " ".join(words),
        "deps": [*SHARED, *read],
        "params": [{f"conf/base/parameters/{group}.yml": None} for group in sorted(groups)],
        "outs": kept("model", task.result, "metrics"),
        "metrics": [str(Path(path).with_name("scores.json")) for path in kept("metrics")],
        "plots": kept("figures", "history"),
    }


if __name__ == "__main__":
    (ROOT / "dvc.yaml").write_text(stages_file(), encoding="utf-8")
