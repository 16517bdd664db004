"""The site builds without a warning, asks nothing of other hosts, and tells every verb and option."""

import importlib.util
import re
from html import unescape
from pathlib import Path
from typing import Any

import pytest
import typer

from sc_mamba2.commands import app
from sc_mamba2.tasks.table import TASKS

pytest.importorskip("material", reason="the extra `docs` is not installed")
from mkdocs.commands.build import build
from mkdocs.config import load_config
from mkdocs.exceptions import Abort

ROOT = Path(__file__).parents[2]
FETCHED = re.compile(
    r"""<(?:script|img|iframe|source|link)\b[^>]*?\b(?:src|href)\s*=\s*["']?(?:https?:)?//[^>]*>"""
    r"""|url\(\s*["']?(?:https?:)?//[^)]*\)|@import[^;]*;""",
    re.IGNORECASE,
)


def _build(site: Path, **other: Any) -> Path:
    """Build as `make docs` does; a warning ends it."""
    build(load_config(str(ROOT / "mkdocs.yml"), site_dir=str(site), **other))
    return site


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    return _build(tmp_path_factory.mktemp("site"))


@pytest.mark.slow
def test_the_site_has_every_page(site: Path):
    for page in (ROOT / "docs").glob("*.md"):
        name = "index" if page.stem == "README" else page.stem
        assert (site / f"{name}.html").is_file(), name


@pytest.mark.slow
def test_nothing_is_fetched_from_elsewhere(site: Path):
    shown = [path for path in site.rglob("*") if path.suffix in (".html", ".css", ".svg")]
    assert len(shown) > 30
    fetched = {path.name: FETCHED.findall(path.read_text("utf-8")) for path in shown}
    assert not {name: found for name, found in fetched.items() if found}


@pytest.mark.slow
def test_a_link_that_leads_nowhere_ends_the_build(tmp_path: Path):
    page = tmp_path / "docs" / "page.md"
    page.parent.mkdir()
    other = {"docs_dir": str(page.parent), "nav": [{"A page": "page.md"}], "extra_css": []}
    page.write_text("# A page\n\n[link](page.md#a-page)\n", "utf-8")
    _build(tmp_path / "good", **other)
    for link in ("absent.md", "page.md#absent", "/page.md"):
        page.write_text(f"# A page\n\n[link]({link})\n", "utf-8")
        with pytest.raises(Abort):
            _build(tmp_path / "bad", **other)


def _commands(command: Any, name: str) -> dict[str, Any]:
    """Give a command and all below it, by name."""
    found = {name: command}
    for verb, below in getattr(command, "commands", {}).items():
        found |= _commands(below, f"{name} {verb}")
    return found


@pytest.mark.slow
def test_the_reference_tells_every_verb_argument_and_option(site: Path):
    shown = (site / "cli.html").read_text("utf-8")
    parts = re.findall(r'<h2 id="(scm[\w-]*)">(.*?)(?=<h2|</article>)', shown, re.DOTALL)
    sections = {name: unescape(re.sub(r"<[^>]+>", "", part)) for name, part in parts}
    commands = _commands(typer.main.get_command(app), "scm")
    assert sections.keys() == {name.replace(" ", "-") for name in commands}
    for name, command in commands.items():
        section = sections[name.replace(" ", "-")]
        for parameter in command.params:
            if getattr(parameter, "hidden", False):  # a word of before that is only accepted
                continue
            assert parameter.help.replace("`", "") in section, (name, parameter.name)
            if parameter.param_type_name == "option":
                assert all(option in section for option in parameter.opts)


@pytest.mark.slow
def test_the_figure_of_the_model_is_that_of_the_code():
    script = ROOT / "docs" / "make" / "model_figure.py"
    spec = importlib.util.spec_from_file_location("model_figure", script)
    figure = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(figure)
    drawn = figure.draw()
    assert drawn == figure.PLACE.read_text("utf-8"), f"run python {script.relative_to(ROOT)}"
    with_a_model = [t for t in TASKS.values() if any("checkpoint" in str(o) for o in t.options)]
    assert len(with_a_model) == len(TASKS) - 1, "denoising alone has none yet"
    for task in with_a_model:
        assert re.search(rf"scm [^<]*\b{task.verb}\b", drawn)
