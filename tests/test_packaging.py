"""The wheel works without the checkout, and the files beside the code that tell others what this is say so."""

import json
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
MAX_BYTES = 30_000_000
COPYLEFT = re.compile(r"\b(A|L)?GPL|General Public License|MPL|Mozilla|EUPL|CC-BY-SA", re.I)


def _yaml(name: str) -> dict:
    return yaml.safe_load((ROOT / name).read_text("utf-8"))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel with the tools of this environment: nothing is fetched."""
    pytest.importorskip("hatchling", reason="needs hatchling, of the extra dev")
    folder = tmp_path_factory.mktemp("dist")
    build = "from hatchling.build import build_wheel; import sys; build_wheel(sys.argv[1])"
    subprocess.run([sys.executable, "-c", build, str(folder)], cwd=ROOT, check=True)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def unpacked(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


@pytest.fixture
def scm(unpacked: Path, tmp_path: Path):
    """Run `scm WORDS` of the wheel in an empty folder; the checkout is on no path."""
    environ = os.environ | {"PYTHONPATH": str(unpacked), "KEDRO_DISABLE_TELEMETRY": "1"}
    start = (
        "import sys, sc_mamba2; from sc_mamba2.commands import app\n"
        "assert sc_mamba2.__file__.startswith(sys.argv.pop(1)), sc_mamba2.__file__\n"
        "app(prog_name='scm')"
    )

    def run(*words: str) -> str:
        command = [sys.executable, "-P", "-c", start, str(unpacked), *words]
        result = subprocess.run(
            command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False
        )
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    return run


def test_the_wheel_holds_what_the_code_reads_and_is_small(wheel: Path):
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
    source = ROOT / "src"
    tracked = {
        path.relative_to(source).as_posix()
        for path in (source / "sc_mamba2").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert tracked <= held
    for layer in ("base", "test", "gpu"):
        files = [path for path in (ROOT / "conf" / layer).rglob("*") if path.is_file()]
        wanted = {f"sc_mamba2/_conf/{path.relative_to(ROOT / 'conf').as_posix()}" for path in files}
        assert wanted and wanted <= held
    assert not [name for name in held if "/local/" in name or name.startswith("tests/")]
    assert wheel.stat().st_size < MAX_BYTES


@pytest.mark.slow
def test_the_wheel_answers_without_the_checkout(scm):
    told = scm("doctor")
    assert "kedro:" in told and "-e " not in told  # what serves a clone alone serves nobody here
    assert {"scm-tiny", "scm-counts", "blood", "pancreas"} <= set(
        re.findall(r'"name": "([^"]+)"', scm("model", "list", "--json"))
    )
    assert json.loads(scm("validate", "scanpy:pbmc68k_reduced", "--json"))


def test_the_citation_names_the_software_and_the_paper():
    citation = _yaml("CITATION.cff")
    assert {"cff-version", "message", "title", "authors", "version", "license"} <= citation.keys()
    assert citation["version"] == PROJECT["version"] and citation["license"] == PROJECT["license"]
    (paper,) = citation["references"]
    assert paper["doi"] in (ROOT / "README.md").read_text("utf-8")
    assert {"type", "title", "authors"} <= paper.keys()


def test_the_changelog_has_a_place_for_what_is_not_released():
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert "\n## [Unreleased]\n" in text
    assert set(re.findall(r"^### (\w+)$", text, re.M)) <= {
        *("Added", "Changed", "Deprecated", "Removed", "Fixed", "Security")
    }


def test_the_hooks_fetch_nothing():
    (source,) = _yaml(".pre-commit-config.yaml")["repos"]
    assert source["repo"] == "local"
    assert {hook["language"] for hook in source["hooks"]} == {"system"}
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for hook in source["hooks"]:
        program = hook["entry"].split()[0].removeprefix(".venv/bin/")
        assert f"$(BIN)/{program}" in makefile


def test_the_workflow_calls_targets_of_the_makefile_on_every_python():
    workflow = _yaml(".github/workflows/ci.yml")
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    made = {
        target for step in steps for target in re.findall(r"make ([\w-]+)", step.get("run", ""))
    }
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text("utf-8"), re.M)
    assert made == {"test", "test-full", "test-extras", "wheel-test", "docs", "image-test"}
    assert made <= set(targets)
    assert all(
        re.fullmatch(r"actions/[\w-]+@v\d+", step["uses"]) for step in steps if "uses" in step
    )
    low, high = re.fullmatch(r">=3\.(\d+),<3\.(\d+)", PROJECT["requires-python"]).groups()
    pythons = workflow["jobs"]["wheel"]["strategy"]["matrix"]["python"]
    assert pythons == [f"3.{minor}" for minor in range(int(low), int(high))]
    assert "${{ secrets" not in (ROOT / ".github/workflows/ci.yml").read_text("utf-8")


def test_what_is_slow_has_its_door():
    makefile = (ROOT / "Makefile").read_text("utf-8")
    recipes = dict(re.findall(r"^(test[\w-]*):.*\n((?:\t.*\n)+)", makefile, re.M))
    assert {"test", "test-full", "test-extras", "test-faults", "test-notebooks"} == recipes.keys()
    assert '-m "not slow"' in recipes["test"]
    others = [recipe for name, recipe in recipes.items() if name != "test"]
    assert not any(re.search(r" -m (?!promised|pytest)", recipe) for recipe in others)
    assert all("--faults full" in line for line in recipes["test-faults"].split("$(BIN)")[1:])


def test_the_constraints_pin_what_every_extra_names():
    pins = re.findall(r"^([\w.-]+)==", (ROOT / "constraints-py311.txt").read_text("utf-8"), re.M)
    pinned = {_plain(name) for name in pins}
    extras = PROJECT["optional-dependencies"].items()
    named = {
        _plain(Requirement(line).name) for name, lines in extras if name != "cuda" for line in lines
    }
    assert named - {"sc-mamba2"} <= pinned


def test_every_copyleft_dependency_is_on_the_page_of_licences():
    page = (ROOT / "docs" / "licences.md").read_text("utf-8")
    known = set(re.search(r"<!-- copyleft: ([^>]*) -->", page)[1].split())
    assert _copyleft() <= known
    assert all(f"`{name}`" in page for name in known)


def _copyleft() -> set[str]:
    """Return what a core install brings under a copyleft licence, as its metadata says."""
    todo = [Requirement(line) for line in PROJECT["dependencies"]]
    seen: set[tuple[str, frozenset[str]]] = set()
    found = set()
    while todo:
        wanted = todo.pop()
        name, extras = _plain(wanted.name), frozenset(wanted.extras)
        try:
            package = distribution(name)
        except PackageNotFoundError:
            continue
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        if COPYLEFT.search(_licence(package.metadata)):
            found.add(name)
        for line in package.requires or []:
            needed = Requirement(line)
            if needed.marker is None or any(
                needed.marker.evaluate({"extra": extra}) for extra in {"", *extras}
            ):
                todo.append(needed)
    return found


def _licence(metadata) -> str:
    """Return what names the licence; of a field that holds its whole text, the first line."""
    free = (metadata.get("License") or "").strip().splitlines()[:1]
    said = [metadata.get("License-Expression") or "", *free]
    said += [line for line in metadata.get_all("Classifier") or [] if line.startswith("License")]
    return "\n".join(said)


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
