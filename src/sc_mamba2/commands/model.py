"""`scm model`: checkpoints by name, sent to a remote and brought from there as versions."""

from pathlib import Path
from typing import Annotated

import typer

from sc_mamba2.commands.answer import with_modes
from sc_mamba2.commands.data import project_here
from sc_mamba2.commands.results import answered_briefly, show_facts, show_table

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
    from sc_mamba2.versions.checkpoints import list_checkpoints

    rows = list_checkpoints(project_here(needed=False))
    if answered_briefly(rows, [row["name"] for row in rows]):
        return
    lines = []
    for row in rows:
        address = " ".join(filter(None, (row.get("title"), row.get("address"))))
        facts = (
            row.get("task", ""),
            row.get("parameters", ""),
            row.get("types") or row.get("backbone") or address,
        )
        lines.append((row["name"], row["state"], *facts))
    head = ("name", "state", "task", "parameters", "what")
    show_table(head, lines, whole=("state", "parameters"))


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
    from sc_mamba2.versions.checkpoints import pull as pull_checkpoint

    root = project_here()
    folder = pull_checkpoint(root, name, remote=remote)
    lines = {"checkpoint": str(folder.relative_to(root))}
    show_facts(lines, lines, 12, places=[folder])
