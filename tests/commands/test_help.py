"""The help of every verb reads well on a terminal of 80 columns."""

from typing import Any

import pytest
import typer
from tests.cli import invoke

from sc_mamba2.commands import app


def _commands(command: Any, words: tuple[str, ...]) -> list[tuple[tuple[str, ...], Any]]:
    below = getattr(command, "commands", {})
    return [(words, command)] + [
        found for name, one in below.items() for found in _commands(one, (*words, name))
    ]


COMMANDS = _commands(typer.main.get_command(app), ())
EACH = pytest.mark.parametrize(
    ("words", "command"), COMMANDS, ids=[" ".join(words) or "scm" for words, _ in COMMANDS]
)


@EACH
def test_no_line_is_wider_than_the_terminal(words, command):
    result = invoke(*words, "--help", env={"COLUMNS": "80"})
    assert result.exit_code == 0
    widths = [len(line) for line in result.output.splitlines()]
    assert max(widths) == 80  # the boxes fill it: the width that was asked for was obeyed


@EACH
def test_no_line_of_the_text_breaks_twice(words, command):
    """What is written in lines is shown in lines, of 78 letters between the margins."""
    assert command.help
    assert max(map(len, command.help.splitlines())) <= 78


@EACH
def test_every_argument_and_option_is_explained(words, command):
    for parameter in command.params:
        assert parameter.help and parameter.help.endswith("."), parameter.name


def test_every_verb_stands_under_what_it_is_for():
    shown = invoke("--help", env={"COLUMNS": "80"}).output
    heads = [line.split("─ ")[1].split(" ─")[0] for line in shown.splitlines() if "─ " in line]
    assert heads == ["Options", "Tasks", "Cells and checkpoints", "The project"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_completes_verbs_and_options(shell):
    """As the script of `scm --show-completion` asks the command."""
    asked = {"COMP_WORDS": "scm ann", "COMP_CWORD": "1", "_TYPER_COMPLETE_ARGS": "scm ann"}
    env = {"_SCM_COMPLETE": f"complete_{shell}", "_TYPER_COMPLETE_FISH_ACTION": "get-args", **asked}
    result = invoke(env=env)
    assert "annotate" in result.output and "embed" not in result.output
