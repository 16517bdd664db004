"""Run a task's pipeline for a verb: in a scratch folder beside the output, then move the results."""

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
    restored,
    scratch_folder,
    sole_writer,
)
from sc_mamba2.runs.configuration import READ, shipped_conf
from sc_mamba2.runs.dry_run import dry
from sc_mamba2.runs.preflight import check_run
from sc_mamba2.runs.records import FOLDER_SUFFIX, RECORD
from sc_mamba2.runs.selection import Selection
from sc_mamba2.tasks.shared.parameters import flatten

if TYPE_CHECKING:
    from sc_mamba2.runs.session import Finished

_RESUMABLE = ("blocks-missing", "processes-failed", "worker-died")  # a run can resume
_KEPT_LAYERS = ("06_models", "08_reporting")  # layers that a verb keeps


@dataclass(frozen=True)
class Kept:
    """Where a verb's results are: the output, and the folder with everything else."""

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
        File to write, and its required suffix; report, metrics, figures and checkpoint go to a folder
        beside it with the suffix ``.scm``.
    result
        Dataset that becomes `output`.
    force
        Whether existing results may be replaced.

    Raises
    ------
    UserError
        The output exists or cannot be written, or the input is invalid. Nothing is left then.
    """
    output = output.resolve()
    folder = restored(output.with_suffix(FOLDER_SUFFIX))
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
        As in `run_verb`.
    sign
        Suffix of the file, such as ``.parquet``; for a folder, the file in it that identifies it.

    Returns
    -------
    Path
        `output`, absolute.
    """
    output = restored(output.resolve())
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
    """Yield a hidden folder beside `output` that survives a killed run, for one run at a time.

    It is removed on success, and if the first run raises a user error. It is kept if a run, or one of its
    processes, was killed, interrupted or could not write, so that the next run for the same output resumes
    from it; user errors of later runs leave it untouched.

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
        clean_scratch(output)  # leftovers of killed runs; the lock makes us the only writer
        try:
            yield blocks
        except BaseException as error:
            refused = isinstance(error, UserError) and error.rule not in _RESUMABLE
            if not left and (refused or not blocks.exists()):
                shutil.rmtree(folder)
            raise
        shutil.rmtree(folder)


def run_in_folder(selection: Selection, folder: Path) -> "Finished":
    """Call `session.run_in_folder`, importing Kedro only now."""
    from sc_mamba2.runs import session

    return session.run_in_folder(selection, folder)


@contextmanager
def _scratch_for(output: Path) -> Iterator[Path]:
    """Yield a scratch folder beside `output`; in a dry run, a path that is not created."""
    if dry() is not None:
        yield output.with_name(f".{output.name}-dry")
        return
    with scratch_folder(output) as scratch:
        yield scratch


def _kept_places(written: dict[str, Path], scratch: Path, task: str, result: str) -> dict[str, str]:
    """Return the datasets to keep in the results folder, with their names there."""
    places = {}
    for name, path in written.items():
        # A checkpoint that was read is not in the scratch folder, and is not moved.
        ours = path.is_relative_to(scratch) and name.startswith(f"{task}.") and name != result
        if ours and set(_KEPT_LAYERS) & set(path.relative_to(scratch).parts):
            last = name.rpartition(".")[2]
            places[name] = path.name if path.suffix else {"model": "checkpoint"}.get(last, last)
    return places


def _put_in_place(kept: Path, folder: Path, result: Path, output: Path) -> None:
    """Move both results into place, or neither: on a failure an older folder is restored."""
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
    if output.is_dir():  # a rename cannot replace it
        with scratch_folder(output) as scratch:
            put_in_place(result, output, scratch)
    else:
        result.replace(output)


def check_place(output: Path, suffix: str | None = None) -> None:
    """Raise if an output has the wrong suffix, is remote, or its folder does not exist."""
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
    """Raise rule ``output-exists`` if something is there, except with `force` what a verb wrote."""
    if place.exists() and not (ours and force):
        raise UserError(
            "output-exists",
            found=f"'{place.name}' already exists"
            + ("" if ours else ", and was not written by a verb"),
            expected="a new name",
            mend="choose another name" + (", or add --force to replace it" if ours else ""),
        )


def _check_inputs(selection: Selection, outputs: tuple[Path, ...]) -> None:
    """Raise rule ``output-is-input`` if cells, or a checkpoint in the results folder, would be overwritten."""
    for name, value in flatten(selection.params).items():
        if name.rpartition(".")[2] not in READ:
            continue
        for source in filter(None, value if isinstance(value, list) else [value]):
            # A modality may be given as rna=FILE.
            read = Path(str(source).rpartition("=")[2]).resolve()
            if read in outputs or set(outputs) & set(read.parents):
                raise UserError(
                    "output-is-input",
                    found=f"'{read.name}' is both input and output",
                    expected="an output that is not an input",
                    mend="choose another --output",
                )
