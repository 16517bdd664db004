"""The page of the command `scm`, made from the Typer application that runs."""

import re
from collections import defaultdict
from typing import Any

import typer

from sc_mamba2.commands import app

COMMANDS = re.compile(r"(?:^ *scm .+\n*)+", re.MULTILINE)


def cli_reference() -> str:
    """Write every verb with its arguments and options as Markdown."""
    group = typer.main.get_command(app)
    return "\n\n".join(_command(group, typer.Context(group, info_name="scm")))


def _command(command: Any, context: Any) -> list[str]:
    """Tell of a command, then of those below it."""
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    parts = [
        f"## {context.command_path}",
        COMMANDS.sub(_as_code, f"{command.help or ''}\n").strip(),
    ]
    parts += [f"```text\n{usage}\n```", *_tables(command, context)]
    for name, below in getattr(command, "commands", {}).items():
        parts += _command(below, typer.Context(below, info_name=name, parent=context))
    return parts


def _as_code(match: re.Match[str]) -> str:
    lines = [line.strip() for line in match[0].splitlines() if line.strip()]
    return "```sh\n" + "\n".join(lines) + "\n```\n\n"


def _tables(command: Any, context: Any) -> list[str]:
    """Make a table of each panel of the help, in its order."""
    panels = defaultdict(list)
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None:
            kind = "Arguments" if parameter.param_type_name == "argument" else "Options"
            name, text = (part.replace("|", "\\|") for part in record)
            panels[parameter.rich_help_panel or kind].append(f"| `{name}` | {text} |")
    order = sorted(panels, key=lambda panel: panel != "Arguments")
    return [f"| {panel} | |\n|---|---|\n" + "\n".join(panels[panel]) for panel in order]
