"""`scm model`: list checkpoints, push them to a remote or the Hub, and pull them."""

from pathlib import Path
from typing import Annotated

import typer

from sc_mamba2.commands.data import project_here
from sc_mamba2.commands.options import contradiction
from sc_mamba2.commands.output import with_modes
from sc_mamba2.commands.results import print_brief, show_facts, show_table

model = typer.Typer(
    name="model",
    help="Checkpoints by name: list, push to a remote of DVC or the Hub, pull back.",
    no_args_is_help=True,
)
Remote = Annotated[
    str | None, typer.Option("--remote", "-r", help="DVC remote; default: the default remote.")
]


@model.command("list")
@with_modes
def list_() -> None:
    """List the shipped checkpoints, those of this project, and public ones."""
    from sc_mamba2.versions.checkpoints import list_checkpoints

    rows = list_checkpoints(project_here(needed=False))
    if print_brief(rows, [row["name"] for row in rows]):
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
        Path,
        typer.Argument(help="A checkpoint folder, its name in data/06_models, or a shipped one."),
    ],
    hub: Annotated[
        str | None,
        typer.Argument(metavar="OWNER/NAME", help="Push it to the Hugging Face Hub instead."),
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", "-n", help="Name of the version; makes a copy.")
    ] = None,
    remote: Remote = None,
    public: Annotated[
        bool, typer.Option("--public", help="On the Hub: anyone can read it.")
    ] = False,
    licence: Annotated[
        str | None,
        typer.Option("--license", help="On the Hub: licence of the weights, such as apache-2.0."),
    ] = None,
) -> None:
    """Put a checkpoint under DVC and send it to the remote; or send it to the Hub.

    With OWNER/NAME the Hugging Face Hub gets it, private without --public.
    """
    from sc_mamba2.model.folder import checkpoint_folder
    from sc_mamba2.versions.checkpoints import MODELS, push as push_checkpoint

    if hub is not None and (name or remote):
        raise contradiction(
            "OWNER/NAME with --name or --remote", "the Hub or DVC", "omit one of them"
        )
    if hub is None and (public or licence):
        raise contradiction(
            "--public or --license without OWNER/NAME", "a name on the Hub", "name it: owner/name"
        )
    root = project_here(needed=hub is None)
    given = checkpoint_folder(str(folder))
    here = given if given.exists() else root / MODELS / folder
    if hub is not None:
        from sc_mamba2.model.hub import upload

        facts = {"page": upload(here, hub, public=public, license=licence)}
        show_facts(facts, facts, 6, places=[facts["page"]])
        return
    pointer, copied = push_checkpoint(root, here.resolve(), name=name, remote=remote)
    lines = {"copy": str(pointer.with_suffix("").relative_to(root))} if copied else {}
    lines["pointer"] = str(pointer.relative_to(root))
    lines["git"] = f"git add {lines['pointer']} {MODELS}/.gitignore"
    show_facts(lines, lines, 10, places=[pointer])


@model.command()
@with_modes
def pull(
    name: Annotated[
        str,
        typer.Argument(
            help="A checkpoint with a pointer in data/06_models; on the Hub OWNER/NAME or "
            "OWNER/NAME@REVISION."
        ),
    ],
    remote: Remote = None,
) -> None:
    """Bring a checkpoint from the remote or the Hub, and check its hashes.

    What comes from the Hugging Face Hub lies in its cache: from then on
    OWNER/NAME names it wherever a checkpoint is named, without a network.
    """
    if "/" in name:
        if remote is not None:
            raise contradiction("OWNER/NAME with --remote", "the Hub or DVC", "leave --remote out")
        from sc_mamba2.model.hub import download

        lines = {"checkpoint": str(download(name)), "use": f"--checkpoint {name}"}
        show_facts(lines, lines, 12, places=[lines["checkpoint"]])
        return
    from sc_mamba2.versions.checkpoints import pull as pull_checkpoint

    root = project_here()
    folder = pull_checkpoint(root, name, remote=remote)
    lines = {"checkpoint": str(folder.relative_to(root))}
    show_facts(lines, lines, 12, places=[folder])
