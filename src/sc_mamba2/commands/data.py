"""`scm data`: public data sets by name and one's own, under versions, with their hashes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sc_mamba2.commands.answer import mode
from sc_mamba2.commands.errors import told_once
from sc_mamba2.commands.modes import with_modes
from sc_mamba2.commands.results import show_facts, show_table, told_briefly
from sc_mamba2.errors import UserError

if TYPE_CHECKING:
    from sc_mamba2.versions.data import Arrived

data = typer.Typer(
    name="data",
    help="Data sets by name: list, pull, add your own, verify. As an input: data:NAME.",
    no_args_is_help=True,
)


@data.command("list")
@with_modes
def list_(
    name: Annotated[str | None, typer.Argument(help="Tell all that is known of this one.")] = None,
) -> None:
    """List the data sets that have a name, and which are here."""
    with told_once():
        from sc_mamba2.versions.data import known, list_data

        root = project_here(needed=False)
        if name is not None:
            known(root, name)
        found = [row for row in list_data(root) if name in (None, row["name"])]
        if told_briefly(found, [row["name"] for row in found]):
            return
        if name is not None:
            _show_one(found[0])
        else:
            _show_all(found)


@data.command()
@with_modes
def pull(
    name: Annotated[str, typer.Argument(help="A name of `scm data list`.")],
    pointer_only: Annotated[
        bool, typer.Option("--pointer-only", help="Write DVC's import pointer, fetch nothing.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Fetch it anew; it must be the same bytes.")
    ] = False,
) -> None:
    """Bring a data set here: download it, or take in what you put there by hand.

    Nothing else of `scm data` uses the network.
    """
    with told_once():
        from sc_mamba2.versions import arrival

        root = project_here()
        if pointer_only:
            pointer = arrival.point(root, name)
            lines = {"pointer": str(pointer.relative_to(root))}
            show_facts({"name": name, **lines}, lines, 10, places=[pointer])
            return
        with _progress(name) as told:
            arrived = arrival.pull(root, name, told, again=force)
        _show_arrived(root, name, arrived)


@data.command()
@with_modes
def add(
    file: Annotated[Path, typer.Argument(help="A file or folder of cells of your own.")],
    name: Annotated[str, typer.Option("--name", "-n", help="What it is called from now on.")],
) -> None:
    """Copy your own data into the project, under DVC and with its sha256."""
    with told_once():
        from sc_mamba2.versions.data import add as add_data

        root = project_here()
        _show_arrived(root, name, add_data(root, file.resolve(), name))


@data.command()
@with_modes
def verify(
    name: Annotated[str | None, typer.Argument(help="This one only; else all.")] = None,
) -> None:
    """Hash the data sets anew; exit code 2 where a file is changed, missing or new."""
    with told_once():
        from sc_mamba2.versions.data import verify as verify_data
        from sc_mamba2.versions.manifest import read_manifest

        root = project_here()
        names = [name] if name else list(read_manifest(root).data)
        found = {one: verify_data(root, one) for one in names}
        wrong = {one: "; ".join(said) for one, said in found.items() if said}
        if wrong:
            raise UserError(
                "data-changed",
                found=", ".join(f"{one} ({said})" for one, said in wrong.items()),
                expected="files as they arrived, by data/manifest.json",
                mend="scm data pull NAME --force, or dvc checkout, brings them back",
            )
        if not told_briefly({"verified": names}, names):
            for one in names:
                typer.echo(f"{one}: as recorded")
            if not names:
                typer.echo("no named data here yet: scm data pull NAME, or scm data add FILE")


def project_here(needed: bool = True) -> Path:
    """Return the project's folder; where it is not needed and there is none, this folder."""
    from sc_mamba2.runs.session import find_project

    try:
        return find_project(Path.cwd())
    except UserError:
        if needed:
            raise
        return Path.cwd()


@contextmanager
def _progress(name: str) -> Iterator[Callable[[int, int | None], None]]:
    """Give a callback that draws a bar on a terminal, and nothing elsewhere."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TransferSpeedColumn

    console = Console(stderr=True)
    columns = ("{task.description}", BarColumn(), DownloadColumn(), TransferSpeedColumn())
    shown = console.is_terminal and not mode().quiet
    with Progress(*columns, console=console, transient=True, disable=not shown) as bar:
        task = bar.add_task(name, total=None, start=True, visible=False)
        yield lambda got, size: bar.update(task, completed=got, total=size, visible=True)


def _show_arrived(root: Path, name: str, arrived: "Arrived") -> None:
    lines = {
        "folder": str(arrived.folder.relative_to(root)),
        "shape": ", ".join(f"{number:,} {what}" for what, number in arrived.shape.items()),
        "remark": "; ".join(arrived.remarks),
        "pointer": " ".join(str(pointer.relative_to(root)) for pointer in arrived.pointers),
        "input": f"data:{name}",
    }
    if arrived.pointers:
        lines["git"] = f"git add data/manifest.json {lines['folder']}"
    facts = asdict(arrived) | {"name": name, "input": lines["input"], "folder": lines["folder"]}
    facts["pointers"] = [str(pointer.relative_to(root)) for pointer in arrived.pointers]
    shown = {what: text for what, text in lines.items() if text}
    show_facts(facts, shown, 10, places=[arrived.folder])


def _show_all(rows: list[dict[str, Any]]) -> None:
    lines = []
    for row in rows:
        shape = (row["recorded"] or {}).get("shape", {})
        counted = ", ".join(f"{number:,} {what}" for what, number in shape.items())
        stated = row["expected"]["stated"] if "expected" in row else counted
        lines.append(
            (row["name"], row["state"], row["comes"], ", ".join(row.get("tasks", ())), stated)
        )
    whole = ("name", "state", "comes")
    show_table((*whole, "tasks", "shape"), lines, whole)


def _show_one(row: dict[str, Any]) -> None:
    told = {**row, "expected": row.get("expected", {}).get("stated")}
    for key, value in told.items():
        text = ", ".join(value) if isinstance(value, list) else value
        if text and not isinstance(text, dict):
            typer.echo(f"{key.replace('_', ' ') + ':':<12}{text}")
    for file, facts in ((row["recorded"] or {}).get("files") or {}).items():
        typer.echo(f"{'file:':<12}{file}, {facts['size']:,} bytes, sha256 {facts['sha256']}")
