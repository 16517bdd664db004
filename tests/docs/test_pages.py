"""The pages of the tasks have one outline; what they show in Python and of parameters is there."""

import ast
import json
import pkgutil
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from kedro.config import OmegaConfigLoader

from sc_mamba2.runs.configuration import CONFIG_LOADER
from sc_mamba2.tasks.table import TASKS

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
OUTLINE = ["Command", "Python", "What is written", "Picture", "How to judge it", "Limits"]
TASK_PAGES = sorted(
    {task.pipeline for task in TASKS.values()} | {"reverse_perturbation", "pretraining"}
)


def _blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"(?ms)^```{language}\n(.*?)^```", page.read_text("utf-8"))


@pytest.mark.parametrize("name", TASK_PAGES)
def test_every_task_is_told_in_the_same_order(name: str):
    text = (ROOT / "docs" / f"{name}.md").read_text("utf-8")
    assert re.match(r"# .+\n\n\*\*Question\.\*\* .*\?", text)
    headings = re.findall(r"(?m)^## (.+)$", text)
    assert [heading for heading in headings if heading in OUTLINE] == OUTLINE
    histories = [place for place, heading in enumerate(headings) if heading.startswith("Measured")]
    assert histories == list(range(len(headings)))[len(headings) - len(histories) :]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_on_a_page_is_python(page: Path):
    for block in _blocks(page, "python"):
        ast.parse(block)


def test_the_reference_says_of_every_name_whether_it_stays():
    page = (ROOT / "docs" / "api.md").read_text("utf-8")
    shown = re.findall(r"(?m)^::: (\S+)$", page)
    rows = re.findall(r"(?m)^\| (`sc_mamba2.+?) \| (?:yes|may)", page)
    told = re.findall(r"`(sc_mamba2[\w.]+)`", " ".join(row.partition("(")[0] for row in rows))
    assert sorted(shown) == sorted(told)
    for name in shown:
        assert pkgutil.resolve_name(name) is not None


def _names(tree: Any, above: str = "") -> set[str]:
    found = {above} if above else set()
    for name, below in tree.items() if isinstance(tree, dict) else ():
        found |= _names(below, f"{above}.{name}" if above else name)
    return found


@pytest.fixture(scope="module")
def parameters() -> set[str]:
    """Every name that conf/base knows, with dots, and those that a run may bring."""
    files = "".join(path.read_text("utf-8") for path in (ROOT / "conf" / "base").rglob("*.yml"))
    brought = set(re.findall(r"runtime_params:\s*([\w.]+)", files))
    return brought | _names(OmegaConfigLoader(str(ROOT / "conf"), **CONFIG_LOADER)["parameters"])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_parameters_on_a_page_exist(page: Path, parameters: set[str]):
    code = "\n".join(_blocks(page, "sh")) + "\n".join(
        re.findall(r"`(--params [^`]+)`", page.read_text("utf-8"))
    )
    for line in code.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True) if "--params" in line else []
        given = [words[place + 1] for place, word in enumerate(words) if word == "--params"]
        for name in re.findall(r"(?:^|,)([\w.]+)=", ",".join(given)):
            assert name in parameters, name


def test_the_table_of_ready_made_annotators_is_what_was_measured():
    rows = json.loads((ROOT / "benchmarks" / "results" / "annotators.json").read_text())["rows"]
    page = (ROOT / "docs" / "annotation.md").read_text("utf-8")
    for study, words in {
        "Kang 2018": "Kang 2018, by",
        "10x CITE-seq": "10x CITE-seq (gates",
    }.items():
        line = next(line for line in page.splitlines() if line.startswith(f"| {words}"))
        for method in ("annotator", "logistic_regression"):
            assert f"{rows['blood'][study][method]['accuracy']:.3f}" in line
