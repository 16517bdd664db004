"""Run a task's pipeline for a verb: in a scratch folder beside the output, then move what is kept."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sc_mamba2.errors import UserError
from sc_mamba2.files import (
    OLDER,
    clean_scratch,
    make_folder,
    put_in_place,
    scratch_folder,
    sole_writer,
    standing,
)
from sc_mamba2.runs.configuration import READ, shipped_conf
from sc_mamba2.runs.dry_run import dry
from sc_mamba2.runs.preflight import check_run
from sc_mamba2.runs.records import FOLDER_SUFFIX, RECORD
from sc_mamba2.runs.selection import Selection
from sc_mamba2.tasks.shared.parameters import flatten

if TYPE_CHECKING:
    from sc_mamba2.runs.session import Finished

_GOES_ON = ("blocks-missing", "processes-failed", "worker-died")  # what was written is kept
_FOR_PEOPLE = ("06_models", "08_reporting")  # layers that a verb keeps


@dataclass(frozen=True)
class Kept:
    """Where a verb's results are: the annotated cells, and the folder with all the rest."""

    output: Path
    folder: Path


def run_verb(
    selection: Selection, output: Path, task: str, result: str, force: bool, suffix: str = ".h5ad"
) -> Kept:
    """Run a pipeline and keep its results at `output` and in `<output>.scm/`.

    Parameters
    ----------
    selection, task
        What to run, and the namespace whose datasets are kept.
    output, suffix
        File to write, and what its name must end in; beside it a folder with the suffix ``.scm``
        takes report, metrics, figures and the checkpoint.
    result
        Dataset that becomes `output`.
    force
        Whether existing results may be replaced.

    Raises
    ------
    UserError
        The output exists or cannot be written, or the run refused its input. Nothing is left then.
    """
    output = output.resolve()
    folder = standing(output.with_suffix(FOLDER_SUFFIX))
    check_place(output, suffix)
    _check_free(folder, (folder / "metrics.json").is_file(), force)
    _check_free(
        output,
        output.is_file() or any(map(Path.is_file, (output / "zarr.json", output / ".zgroup"))),
        force,
    )
    _check_inputs(selection, (output, folder))
    check_run(selection, shipped_conf(), selection.env or "base")
    with _scratch_for(output) as scratch:
        finished = run_in_folder(selection, scratch)
        written = finished.written
        places = _kept_places(written, scratch, task, result)
        if (estimate := dry()) is not None:
            estimate.writes += [output, *(folder / place for place in places.values())]
            return Kept(output, folder)
        kept = scratch / "kept"
        kept.mkdir()
        if finished.record is not None:
            shutil.move(finished.record / RECORD, kept / RECORD)
        for name, place in places.items():
            shutil.move(written[name], kept / place)
        _put_in_place(kept, folder, written[result], output)
    return Kept(output, folder)


def run_for(selection: Selection, output: Path, result: str, sign: str, force: bool) -> Path:
    """Run a pipeline and keep one of its results, a file or a folder, at `output`.

    Parameters
    ----------
    selection, output, result, force
        As `run_verb`.
    sign
        Suffix of the file, such as ``.parquet``; of a folder, the file in it by which it is known.

    Returns
    -------
    Path
        `output`, absolute.
    """
    output = standing(output.resolve())
    is_file = sign.startswith(".")
    check_place(output, sign if is_file else None)
    _check_free(output, output.is_file() if is_file else (output / sign).is_file(), force)
    _check_inputs(selection, (output,))
    check_run(selection, shipped_conf(), selection.env or "base")
    with _scratch_for(output) as scratch:
        written = run_in_folder(selection, scratch).written[result]
        if (estimate := dry()) is not None:
            estimate.writes.append(output)
            return output
        put_in_place(written, output, scratch)
    return output


@contextmanager
def resumable_folder(output: Path) -> Iterator[Path]:
    """Give a hidden folder beside `output` that outlives a killed run, for one run at a time.

    It is removed at a good end, and where the first run was refused. It stays where a run, or one of its
    processes, was killed, interrupted, or could not write, so that the next run for the same output goes on
    from it; a run that is refused later takes nothing of it.

    Raises
    ------
    UserError
        Rule ``run-locked``: another run writes for the same output.
    """
    output = output.resolve()
    folder = output.with_name(f".{output.name}.blocks")
    blocks = folder / "blocks"
    check_place(output)
    if dry() is not None:
        yield blocks
        return
    left = folder.exists()
    make_folder(folder)
    wait = "wait for it, or choose another --output"
    with sole_writer(folder / ".lock", to=f"'{output.name}'", mend=wait):
        clean_scratch(output)  # what killed runs left, since only one writes there
        try:
            yield blocks
        except BaseException as error:
            refused = isinstance(error, UserError) and error.rule not in _GOES_ON
            if not left and (refused or not blocks.exists()):
                shutil.rmtree(folder)
            raise
        shutil.rmtree(folder)


def run_in_folder(selection: Selection, folder: Path) -> "Finished":
    """Do as `session.run_in_folder`, for which Kedro is loaded now."""
    from sc_mamba2.runs import session

    return session.run_in_folder(selection, folder)


@contextmanager
def _scratch_for(output: Path) -> Iterator[Path]:
    """Give a scratch folder beside `output`; in a dry run, a path at which nothing is made."""
    if dry() is not None:
        yield output.with_name(f".{output.name}-dry")
        return
    with scratch_folder(output) as scratch:
        yield scratch


def _kept_places(written: dict[str, Path], scratch: Path, task: str, result: str) -> dict[str, str]:
    """Return the names in the results' folder of the datasets that are kept there."""
    places = {}
    for name, path in written.items():
        # A checkpoint that was read lies elsewhere: what is not of this run stays where it is.
        ours = path.is_relative_to(scratch) and name.startswith(f"{task}.") and name != result
        if ours and set(_FOR_PEOPLE) & set(path.relative_to(scratch).parts):
            last = name.rpartition(".")[2]
            places[name] = path.name if path.suffix else {"model": "checkpoint"}.get(last, last)
    return places


def _put_in_place(kept: Path, folder: Path, result: Path, output: Path) -> None:
    """Put both results in their places, or neither: an older folder comes back on a failure."""
    with scratch_folder(folder) as scratch:
        put_in_place(kept, folder, scratch)
        try:
            _rename(result, output)
        except OSError:
            shutil.rmtree(folder)
            if (older := scratch / OLDER).exists():
                older.replace(folder)
            raise


def _rename(result: Path, output: Path) -> None:
    if output.is_dir():  # which no rename replaces
        with scratch_folder(output) as aside:
            put_in_place(result, output, aside)
    else:
        result.replace(output)


def check_place(output: Path, suffix: str | None = None) -> None:
    """Refuse an output that has another suffix, or no folder to lie in."""
    if suffix and output.suffix != suffix:
        raise UserError(
            "output-suffix",
            found=f"the output '{output.name}'",
            expected=f"a name that ends in {suffix}",
            mend=f"use {output.stem or 'out'}{suffix}",
        )
    if not output.parent.is_dir() and any(part.endswith(":") for part in output.parts[1:]):
        raise UserError(
            "output-remote",
            found="a URL as the output",
            expected="a local path, since finished files are moved into place by renaming",
            mend=f"write {output.name} locally, and copy it: aws s3 cp, or fsspec",
        )
    if not output.parent.is_dir():
        raise UserError(
            "output-folder",
            found=f"no folder '{output.parent}'",
            expected="an existing folder",
            mend=f"mkdir -p '{output.parent}'",
        )


def _check_free(place: Path, ours: bool, force: bool) -> None:
    """Refuse to replace what is there, but by force what a verb wrote."""
    if place.exists() and not (ours and force):
        raise UserError(
            "output-exists",
            found=f"'{place.name}' already exists"
            + ("" if ours else ", and was not written by a verb"),
            expected="a new name",
            mend="choose another name" + (", or add --force to replace it" if ours else ""),
        )


def _check_inputs(selection: Selection, outputs: tuple[Path, ...]) -> None:
    """Refuse to write over what is read: cells, or a checkpoint inside of the results' folder."""
    for name, value in flatten(selection.params).items():
        if name.rpartition(".")[2] not in READ:
            continue
        for source in filter(None, value if isinstance(value, list) else [value]):
            # One of several modalities may be written as rna=FILE.
            read = Path(str(source).rpartition("=")[2]).resolve()
            if read in outputs or set(outputs) & set(read.parents):
                raise UserError(
                    "output-is-input",
                    found=f"'{read.name}' is both input and output",
                    expected="an output that is not an input",
                    mend="choose another --output",
                )
