"""What docs/own_task.md shows is run as it stands there: in torch, and in Lightning where it is."""

import re
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

PAGE = Path(__file__).parents[2] / "docs" / "own_task.md"
RUN = re.compile(r"(?ms)^<!-- run by tests/docs/test_own_task\.py -->\n```python\n(.*?)^```")


@pytest.fixture(scope="module")
def blocks() -> list[str]:
    return RUN.findall(PAGE.read_text("utf-8"))


@pytest.fixture(scope="module")
def names(blocks: list[str]) -> dict[str, Any]:
    """Run the torch loop, once; its names are what the other blocks go on from."""
    names: dict[str, Any] = {}
    exec(blocks[0], names)
    return names


def test_the_loop_is_short_and_learns(blocks, names):
    code = [line for line in blocks[0].splitlines() if line and not re.match("import|from", line)]
    assert len(code) <= 30
    assert len(names["types"]) == 3 and names["accuracy"] > 0.85  # by chance a third


def test_the_same_in_lightning(blocks, names, tmp_path, monkeypatch):
    pytest.importorskip("lightning", reason="needs lightning")
    monkeypatch.chdir(tmp_path)
    own = dict(names)
    exec(blocks[1], own)
    assert own["trainer"].callback_metrics["accuracy"] > 0.85
    assert not list(tmp_path.iterdir())


def test_it_is_kept_without_a_pickle(blocks, names, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    own = dict(names)
    before = {name: part.clone() for name, part in own["model"].state_dict().items()}
    exec(blocks[2], own)
    after = own["model"].state_dict()
    assert all(part.equal(after[name]) for name, part in before.items())
    assert {path.name for path in tmp_path.iterdir()} == {"MINE", "head.safetensors"}
