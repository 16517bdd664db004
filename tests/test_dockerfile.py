"""The Dockerfile, read: its sources are there and pass .dockerignore, its pins are those of the Makefile."""

import re
import shlex
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "Dockerfile").read_text("utf-8")
# One instruction a line: continuation lines are joined, comments fall away.
LINES = [
    line.split(maxsplit=1)
    for line in re.sub(r"\\\n\s*", "", re.sub(r"^#.*\n", "", TEXT, flags=re.M)).splitlines()
    if line
]
IGNORED = [
    line
    for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    if line and not line.startswith("#")
]


def _all(instruction: str) -> list[str]:
    return [rest for word, rest in LINES if word == instruction]


def _stages() -> dict[str, list[tuple[str, str]]]:
    stages: dict[str, list[tuple[str, str]]] = {}
    for word, rest in LINES:
        if word == "FROM":
            stages[rest.split()[-1]] = []
        elif stages:
            list(stages.values())[-1].append((word, rest))
    return stages


def test_what_is_copied_is_there_and_is_all_that_the_image_sees():
    copied = [rest.split()[:-1] for rest in _all("COPY") if not rest.startswith("--from")]
    sources = {source for sources in copied for source in sources}
    assert sources and all((ROOT / source).exists() for source in sources)
    assert IGNORED[0] == "*"
    assert {line[1:] for line in IGNORED if line.startswith("!")} == sources
    assert "conf/local" in IGNORED  # a person's own settings and secrets


def test_what_the_build_reads_is_copied():
    pyproject = (ROOT / "pyproject.toml").read_text("utf-8")
    sources = {source for rest in _all("COPY") for source in rest.split()}
    wanted = re.findall(r'^(?:readme = |license-files = \[)"([^"]+)"', pyproject, re.M)
    packed = re.findall(r'^"(conf)/\w+" = "sc_mamba2/_conf', pyproject, re.M)
    assert wanted and packed and {*wanted, *packed, "src", "pyproject.toml"} <= sources


def test_stages_and_their_copies_exist_and_the_default_needs_no_gpu():
    stages = _stages()
    assert list(stages)[-1] == "cpu" and "cuda" in stages
    for rest in _all("FROM"):
        image = rest.split()[0]
        assert image in stages or ":" in image, "an image without a tag"
        assert "." not in image.split("/")[0].split(":")[0], "an address of a registry"
    for rest in _all("COPY"):
        if rest.startswith("--from="):
            assert re.match(r"--from=(\S+)", rest)[1] in stages


@pytest.mark.parametrize("stage", ["cpu", "cuda"])
def test_the_final_stages_do_not_run_as_root(stage):
    users = [rest for word, rest in _stages()[stage] if word == "USER"]
    assert users[-1] == "1000" and "useradd --create-home --uid 1000 scm" in TEXT


def test_the_pins_are_those_of_the_makefile():
    makefile = (ROOT / "Makefile").read_text("utf-8")
    torch = re.search(r"^TORCH := torch==(\S+)$", makefile, re.M)[1]
    assert f"TORCH={torch}" in _all("ARG")
    constraints = re.search(r"^CONSTRAINTS := (\S+)$", makefile, re.M)[1]
    assert f"\ntorch=={torch}\n" in (ROOT / constraints).read_text("utf-8")
    assert "PYTHON=3.11" in _all("ARG"), "the constraints hold for 3.11"
    installs = [part for run in _all("RUN") for part in run.split("&&") if "pip install" in part]
    assert len(installs) == 4
    for words in map(shlex.split, installs):
        pinned = "torch==${TORCH}" in words or words[words.index("-c") + 1] == constraints
        assert pinned and "--no-cache-dir" in words
    assert not re.search(r"https?://", TEXT)
