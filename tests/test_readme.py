"""README and docs tell what is there: the map, the verbs with their options, the links, the rules."""

import ast
import re
import subprocess
import tomllib
from itertools import combinations
from pathlib import Path

import pytest
import typer

from sc_mamba2.commands import app

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "sc_mamba2"
README = (ROOT / "README.md").read_text("utf-8")
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
CODE = re.compile(r"```.*?```|`[^`\n]+`", re.DOTALL)
LINK = re.compile(r"\]\(([^)#\s]*)(?:#([^)\s]*))?\)")
RAISERS = {"UserError", "_refuse", "_remark", "_table_fault", "broken_checkpoint"}


@pytest.fixture(scope="module")
def floors() -> dict[str, int]:
    return {
        room: int(floor) for floor, room in re.findall(r"^\| (\d+) \| `(\w+)/` \|", README, re.M)
    }


@pytest.fixture(scope="module")
def verbs() -> dict[str, set[str]]:
    """Every verb of `scm` with its options."""
    group = typer.main.get_command(app)
    return {name: _options(command) | {"-h", "--help"} for name, command in group.commands.items()}


def _options(command) -> set[str]:
    """Give a verb's options; of a group, such as `scm data`, those of its commands too."""
    own = {option for parameter in command.params for option in parameter.opts}
    return own.union(*map(_options, getattr(command, "commands", {}).values()))


def _called(page: Path) -> list[tuple[str, list[str]]]:
    """Give every `scm VERB` in the code of a page, with the options on its line."""
    lines = [line for code in CODE.findall(page.read_text("utf-8")) for line in code.splitlines()]
    calls = [re.search(r"(?<![\w.-])scm ([a-z][\w-]*)([^#`]*)", line) for line in lines]
    return [(call[1], re.findall(r"(?<=\s)--?[a-z][\w-]*", call[2])) for call in calls if call]


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _rules() -> set[str]:
    """Every rule name in the source: kebab-case words that go into an error or a remark."""
    calls = [
        node
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in RAISERS
    ]
    words = [arg.value for call in calls for arg in call.args if isinstance(arg, ast.Constant)]
    return {word for word in words if re.fullmatch(r"[a-z][a-z0-9-]+", str(word))}


def test_every_room_is_in_the_map_with_its_floor(floors: dict[str, int]):
    rooms = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert floors.keys() == rooms


def test_the_floors_are_those_of_the_import_contract(floors: dict[str, int]):
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]
    layers = [re.findall(r"\w+", layer) for layer in contracts["contracts"][0]["layers"]]
    depth = {room: place for place, layer in enumerate(layers) for room in layer}
    for one, other in combinations(floors, 2):
        assert (floors[one] > floors[other]) == (depth[one] < depth[other]), (one, other)


def test_every_tracked_folder_is_in_the_map():
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("no git checkout")
    folders = {path.split("/")[0] for path in listed.stdout.splitlines() if "/" in path}
    mapped = set(re.findall(r"^\| `([\w.]+)/` \|", README, re.M))
    assert folders <= mapped
    assert all((ROOT / folder).is_dir() for folder in mapped)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_verb_and_option_exists(page: Path, verbs: dict[str, set[str]]):
    for verb, options in _called(page):
        assert verb in verbs
        assert set(options) <= verbs[verb], verb


def test_the_readme_names_every_verb(verbs: dict[str, set[str]]):
    assert {verb for verb, _ in _called(ROOT / "README.md")} == verbs.keys()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_relative_link_leads_somewhere(page: Path):
    for target, anchor in LINK.findall(page.read_text("utf-8")):
        if re.match(r"[a-z]+:", target):
            continue
        path = page.parent / target if target else page
        assert path.exists(), target
        assert not anchor or anchor in _anchors(path), f"{target}#{anchor}"


def test_the_index_lists_every_page():
    index = (ROOT / "docs" / "README.md").read_text("utf-8")
    for page in (ROOT / "docs").rglob("*.md"):
        assert page.name == "README.md" or f"]({page.relative_to(ROOT / 'docs')})" in index


def test_every_rule_is_explained():
    rules = _rules()
    assert len(rules) > 40
    contract = (ROOT / "docs" / "data-contract.md").read_text("utf-8")
    missing = sorted(rule for rule in rules if f"`{rule}`" not in contract)
    assert not missing


def test_the_page_on_quality_shows_what_was_measured():
    measured = (ROOT / "benchmarks" / "results" / "quality.md").read_text("utf-8")
    shown = (ROOT / "docs" / "quality.md").read_text("utf-8")
    assert f"quality.md -->\n{measured}<!-- end -->" in shown
