"""`scm model`: checkpoints by name, sent to a remote and brought from there as versions."""

from pathlib import Path
from typing import Annotated, Any

import typer

from sc_mamba2.commands.data import project_here
from sc_mamba2.commands.errors import told_once
from sc_mamba2.commands.modes import with_modes

model = typer.Typer(
    name="model",
    help="Checkpoints by name: list, push to a remote of DVC, pull from there.",
    no_args_is_help=True,
)
Remote = Annotated[
    str | None, typer.Option("--remote", "-r", help="Remote of DVC; else the default one.")
]


@model.command("list")
@with_modes
def list_() -> None:
    """List the checkpoints that come along, those of this project, and public ones."""
    with told_once():
        from sc_mamba2.commands.results import told_briefly
        from sc_mamba2.versions.checkpoints import list_checkpoints

        found = list_checkpoints(project_here(needed=False))
        if not told_briefly(found, [row["name"] for row in found]):
            _show(found)


@model.command()
@with_modes
def push(
    folder: Annotated[
        Path, typer.Argument(help="A checkpoint folder, or its name in data/06_models.")
    ],
    name: Annotated[
        str | None, typer.Option("--name", "-n", help="What the version is called; makes a copy.")
    ] = None,
    remote: Remote = None,
) -> None:
    """Put a checkpoint under DVC and send it to the remote."""
    with told_once():
        from sc_mamba2.commands.results import show_facts
        from sc_mamba2.versions.checkpoints import MODELS, push as push_checkpoint

        root = project_here()
        here = folder if folder.exists() else root / MODELS / folder
        pointer, copied = push_checkpoint(root, here.resolve(), name=name, remote=remote)
        lines = {"copy": str(pointer.with_suffix("").relative_to(root))} if copied else {}
        lines["pointer"] = str(pointer.relative_to(root))
        lines["git"] = f"git add {lines['pointer']} {MODELS}/.gitignore"
        show_facts(lines, lines, 10, places=[pointer])


@model.command()
@with_modes
def pull(
    name: Annotated[str, typer.Argument(help="A checkpoint whose pointer is in data/06_models.")],
    remote: Remote = None,
) -> None:
    """Bring a checkpoint from the remote and check its hashes."""
    with told_once():
        from sc_mamba2.commands.results import show_facts
        from sc_mamba2.versions.checkpoints import pull as pull_checkpoint

        root = project_here()
        folder = pull_checkpoint(root, name, remote=remote)
        lines = {"checkpoint": str(folder.relative_to(root))}
        show_facts(lines, lines, 12, places=[folder])


def _show(rows: list[dict[str, Any]]) -> None:
    from sc_mamba2.commands.results import show_table

    lines = []
    for row in rows:
        what = row.get("backbone") or " ".join(
            part for part in (row.get("title"), row.get("address")) if part
        )
        lines.append(
            (row["name"], row["state"], row.get("task", ""), row.get("parameters", ""), what)
        )
    show_table(
        ("name", "state", "task", "parameters", "what"), lines, whole=("state", "parameters")
    )
