"""`scm data`: public and own data sets by name, with versions and hashes."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sc_mamba2.commands.mode import mode
from sc_mamba2.commands.output import with_modes
from sc_mamba2.commands.results import print_brief, show_facts, show_table
from sc_mamba2.errors import UserError

if TYPE_CHECKING:
    from sc_mamba2.versions.data import LocalData

data = typer.Typer(
    name="data",
    help="Data sets by name: list, pull, add your own, verify. As an input: data:NAME.",
    no_args_is_help=True,
)


@data.command("list")
@with_modes
def list_(
    name: Annotated[str | None, typer.Argument(help="Show all details of this one.")] = None,
) -> None:
    """List the data sets that have a name, and which are here."""
    from sc_mamba2.versions.data import known, list_data

    root = project_here(needed=False)
    if name is not None:
        known(root, name)
    rows = [row for row in list_data(root) if name in (None, row["name"])]
    if not print_brief(rows, [row["name"] for row in rows]):
        _show_all(rows) if name is None else _show_one(rows[0])


@data.command()
@with_modes
def pull(
    name: Annotated[str, typer.Argument(help="A name from `scm data list`.")],
    pointer_only: Annotated[
        bool, typer.Option("--pointer-only", help="Write DVC's import pointer, download nothing.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Download it again; it must be identical.")
    ] = False,
) -> None:
    """Bring a data set here: download it, or take in what you put there by hand.

    Nothing else of `scm data` uses the network.
    """
    from sc_mamba2.versions.data import pull as pull_data, write_pointer

    root = project_here()
    if pointer_only:
        pointer = write_pointer(root, name)
        lines = {"pointer": str(pointer.relative_to(root))}
        show_facts({"name": name, **lines}, lines, 10, places=[pointer])
        return
    progress = sys.stderr.isatty() and not mode().quiet
    _show_arrived(root, name, pull_data(root, name, again=force, progress=progress))


@data.command()
@with_modes
def add(
    file: Annotated[Path, typer.Argument(help="Your own file or folder of cells.")],
    name: Annotated[str, typer.Option("--name", "-n", help="Its name from now on.")],
) -> None:
    """Copy your own data into the project, under DVC and with its sha256."""
    from sc_mamba2.versions.data import add as add_data

    root = project_here()
    _show_arrived(root, name, add_data(root, file.resolve(), name))


@data.command()
@with_modes
def verify(
    name: Annotated[str | None, typer.Argument(help="Only this one; default: all.")] = None,
) -> None:
    """Hash the data sets anew; exit code 2 where a file is changed, missing or new."""
    from sc_mamba2.versions.data import verify as verify_data
    from sc_mamba2.versions.names import read_manifest

    root = project_here()
    names = [name] if name else list(read_manifest(root))
    changes = {one: verify_data(root, one) for one in names}
    if changed := [f"{one} ({'; '.join(parts)})" for one, parts in changes.items() if parts]:
        raise UserError(
            "data-changed",
            found=", ".join(changed),
            expected="the files recorded in data/manifest.json",
            mend="restore them with scm data pull NAME --force, or dvc checkout",
        )
    if not print_brief({"verified": names}, names):
        none = "no named data here yet: scm data pull NAME, or scm data add FILE --name NAME"
        typer.echo("\n".join(f"{one}: as recorded" for one in names) or none)


def project_here(needed: bool = True) -> Path:
    """Return the project's folder; if it is not `needed` and there is none, the working folder."""
    from sc_mamba2.runs.project import find_project

    try:
        return find_project(Path.cwd())
    except UserError:
        if needed:
            raise
        return Path.cwd()


def _show_arrived(root: Path, name: str, arrived: "LocalData") -> None:
    folder = str(arrived.folder.relative_to(root))
    pointers = [str(pointer.relative_to(root)) for pointer in arrived.pointers]
    facts = {"folder": folder, "pointers": pointers, "name": name, "input": f"data:{name}"}
    lines = {
        "folder": folder,
        "shape": _counted(arrived.shape),
        "remark": "; ".join(arrived.remarks),
        "pointer": " ".join(pointers),
        "input": facts["input"],
        "git": f"git add data/manifest.json {folder}" if pointers else "",
    }
    lines = {what: text for what, text in lines.items() if text}
    show_facts(arrived._asdict() | facts, lines, 10, places=[arrived.folder])


def _counted(shape: dict[str, int]) -> str:
    return ", ".join(f"{number:,} {what}" for what, number in shape.items())


def _show_all(rows: list[dict[str, Any]]) -> None:
    whole = ("name", "state", "comes")
    lines = []
    for row in rows:
        public = "expected" in row
        shape = row["expected"]["stated"] if public else _counted(row["recorded"]["shape"])
        lines.append((*(row[key] for key in whole), ", ".join(row.get("tasks", ())), shape))
    show_table((*whole, "tasks", "shape"), lines, whole)


def _show_one(row: dict[str, Any]) -> None:
    row = {**row, "expected": row.get("expected", {}).get("stated")}
    for key, value in row.items():
        text = ", ".join(value) if isinstance(value, list) else value
        if text and not isinstance(text, dict):
            typer.echo(f"{key.replace('_', ' ') + ':':<12}{text}")
    for file, facts in (row["recorded"] or {"files": {}})["files"].items():
        typer.echo(f"{'file:':<12}{file}, {facts['size']:,} bytes, sha256 {facts['sha256']}")
