"""Run a task's pipeline for a verb: in a scratch folder beside the output, then move what is kept."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sc_mamba2.errors import UserError
from sc_mamba2.files import clean_scratch, make_folder, scratch_folder, sole_writer
from sc_mamba2.runs.configuration import READ
from sc_mamba2.runs.dry_run import dry
from sc_mamba2.runs.records import FOLDER_SUFFIX, RECORD
from sc_mamba2.runs.selection import Selection
from sc_mamba2.runs.session import run_in_folder
from sc_mamba2.tasks.shared.parameters import flatten


@dataclass(frozen=True)
class Kept:
    """Where a verb's results are: the annotated cells, and the folder with all the rest."""

    output: Path
    folder: Path


def run_verb(
    selection: Selection,
    output: Path,
    task: str,
    result: str,
    force: bool,
    suffix: str = ".h5ad",
) -> Kept:
    """Run a pipeline and keep its results at `output` and in `<output>.scm/`.

    Parameters
    ----------
    selection
        What to run.
    output
        File to write; beside it a folder with the suffix ``.scm`` takes report, metrics, figures
        and the checkpoint.
    task
        Namespace of the task.
    result
        Dataset that becomes `output`.
    force
        Whether existing results may be replaced.
    suffix
        What the name of `output` must end in.

    Raises
    ------
    UserError
        The output exists or cannot be written, or the run refused its input. Nothing is left then.
    """
    output = output.resolve()
    folder = output.with_suffix(FOLDER_SUFFIX)
    check_output(output, folder, force, suffix)
    _keep_inputs(selection, (output, folder))
    with _scratch_for(output) as scratch:
        finished = run_in_folder(selection, scratch)
        written = finished.written
        places = _kept_places(written, scratch, task, result)
        if (found := dry()) is not None:
            found.writes += [output, *(folder / place for place in places.values())]
            return Kept(output, folder)
        kept = scratch / "kept"
        kept.mkdir()
        if finished.record is not None:
            shutil.move(finished.record / RECORD, kept / RECORD)
        for name, place in places.items():
            shutil.move(written[name], kept / place)
        _put_in_place(kept, folder, written[result], output, scratch / "replaced")
    return Kept(output, folder)


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
        if ours and _is_for_people(path.relative_to(scratch)):
            places[name] = path.name if path.suffix else _folder_name(name)
    return places


def _put_in_place(kept: Path, folder: Path, result: Path, output: Path, aside: Path) -> None:
    """Put both results in their places, or neither: an older folder comes back on a failure."""
    if folder.exists():
        folder.replace(aside)
    kept.replace(folder)
    try:
        result.replace(output)
    except OSError:
        shutil.rmtree(folder)
        if aside.exists():
            aside.replace(folder)
        raise


def check_output(output: Path, folder: Path, force: bool, suffix: str = ".h5ad") -> None:
    """Refuse an output that has another suffix, exists already, or has no folder to lie in."""
    if output.suffix != suffix:
        raise UserError(
            "output-suffix",
            found=f"the output '{output.name}'",
            expected=f"a name that ends in {suffix}",
            mend=f"write --output {output.stem or 'out'}{suffix}",
        )
    _check_parent(output)
    foreign = folder.exists() and not (folder / "metrics.json").is_file()
    if output.is_dir() or foreign:
        raise UserError(
            "output-exists",
            found=f"'{(folder if foreign else output).name}' is there, and no verb wrote it",
            expected="a new name",
            mend="choose another --output",
        )
    existing = [path for path in (output, folder) if path.exists()]
    if existing and not force:
        raise UserError(
            "output-exists",
            found=f"'{existing[0].name}' is there already",
            expected="a new name",
            mend="choose another --output, or add --force to replace it",
        )


def run_for(selection: Selection, output: Path, result: str, sign: str, force: bool) -> Path:
    """Run a pipeline and keep one of its results, a file or a folder, at `output`.

    Parameters
    ----------
    selection
        What to run.
    output
        Where the result goes.
    result
        The dataset that is kept.
    sign
        Suffix of the file, such as ``.parquet``; of a folder, the file in it by which it is known.
    force
        Whether an older result may be replaced.

    Returns
    -------
    Path
        `output`, absolute.

    Raises
    ------
    UserError
        As `run_verb`.
    """
    output = output.resolve()
    _check_result(output, sign, force)
    _keep_inputs(selection, (output,))
    with _scratch_for(output) as scratch:
        written = run_in_folder(selection, scratch).written[result]
        if (found := dry()) is not None:
            found.writes.append(output)
            return output
        if output.exists():
            output.replace(scratch / "replaced")
        written.replace(output)
    return output


@contextmanager
def resumable_folder(output: Path) -> Iterator[Path]:
    """Give a hidden folder beside `output` that outlives a killed run, for one run at a time.

    It is removed at a good end, and where the first run was refused. It stays where a run was killed,
    interrupted, or could not write, so that the next run for the same output goes on from it; a run
    that is refused later takes nothing of it.

    Raises
    ------
    UserError
        Rule ``run-locked``: another run writes for the same output.
    """
    output = output.resolve()
    folder = output.with_name(f".{output.name}.blocks")
    _check_parent(output)
    if dry() is not None:
        yield folder / "blocks"
        return
    left = folder.exists()
    make_folder(folder)
    wait = "wait for it, or name another --output"
    with sole_writer(folder / ".lock", to=f"'{output.name}'", mend=wait):
        clean_scratch(output)  # what killed runs left, since only one writes there
        blocks = folder / "blocks"
        try:
            yield blocks
        except BaseException as error:
            if not left and (isinstance(error, UserError) or not blocks.exists()):
                shutil.rmtree(folder)
            raise
        shutil.rmtree(folder)


def _check_result(output: Path, sign: str, force: bool) -> None:
    is_file = sign.startswith(".")
    if is_file and output.suffix != sign:
        raise UserError(
            "output-suffix",
            found=f"the output '{output.name}'",
            expected=f"a name that ends in {sign}",
            mend=f"write {output.stem or 'out'}{sign}",
        )
    _check_parent(output)
    if not output.exists():
        return
    ours = output.is_file() if is_file else (output / sign).is_file()
    if not (ours and force):
        raise UserError(
            "output-exists",
            found=f"'{output.name}' is there already",
            expected="a new name",
            mend="choose another name" + (", or add --force to replace it" if ours else ""),
        )


def _check_parent(output: Path) -> None:
    if not output.parent.is_dir():
        raise UserError(
            "output-folder",
            found=f"no folder '{output.parent}'",
            expected="an existing folder",
            mend=f"mkdir -p '{output.parent}'",
        )


def _keep_inputs(selection: Selection, outputs: tuple[Path, ...]) -> None:
    """Refuse to write over what is read: cells, or a checkpoint inside of the results' folder."""
    given = flatten(selection.params).items()
    sources = [source for name, source in given if name.rsplit(".", 1)[-1] in READ]
    several = [
        one for source in sources for one in (source if isinstance(source, list) else [source])
    ]
    # One of several modalities may be written as rna=FILE.
    paths = [str(source).rpartition("=")[2] for source in several if source]
    for read in [Path(path).resolve() for path in paths]:
        if read in outputs or set(outputs) & set(read.parents):
            raise UserError(
                "output-is-input",
                found=f"'{read.name}' would be read and written over",
                expected="an output apart from what is read",
                mend="choose another --output",
            )


def _is_for_people(path: Path) -> bool:
    return any(layer in path.parts for layer in ("06_models", "08_reporting"))


def _folder_name(name: str) -> str:
    last = name.rsplit(".", 1)[-1]
    return "checkpoint" if last == "model" else last
