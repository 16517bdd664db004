"""Run a task's pipeline for a verb: in a scratch folder beside the output, then move what is kept."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from sc_mamba2.errors import UserError
from sc_mamba2.files import scratch_folder
from sc_mamba2.runs.selection import Selection
from sc_mamba2.runs.session import run_in_folder


@dataclass(frozen=True)
class Kept:
    """Where a verb's results are: the annotated cells, and the folder with all the rest."""

    output: Path
    folder: Path


def run_verb(selection: Selection, output: Path, task: str, result: str, force: bool) -> Kept:
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

    Raises
    ------
    UserError
        The output exists or cannot be written, or the run refused its input. Nothing is left then.
    """
    output = output.resolve()
    folder = output.with_suffix(".scm")
    check_output(output, folder, force)
    _keep_inputs(selection, output, folder)
    with scratch_folder(output) as scratch:
        written = run_in_folder(selection, scratch).written
        kept = scratch / "kept"
        kept.mkdir()
        for name, path in written.items():
            # A checkpoint that was read lies elsewhere: what is not of this run stays where it is.
            ours = path.is_relative_to(scratch) and name.startswith(f"{task}.") and name != result
            if ours and _is_for_people(path.relative_to(scratch)):
                shutil.move(path, kept / (path.name if path.suffix else _folder_name(name)))
        _put_in_place(kept, folder, written[result], output, scratch / "replaced")
    return Kept(output, folder)


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


def check_output(output: Path, folder: Path, force: bool) -> None:
    """Refuse an output that is no `.h5ad`, exists already, or has no folder to lie in."""
    if output.suffix != ".h5ad":
        raise UserError(
            "output-suffix",
            found=f"the output '{output.name}'",
            expected="a name that ends in .h5ad",
            mend=f"write --output {output.stem or 'out'}.h5ad",
        )
    if not output.parent.is_dir():
        raise UserError(
            "output-folder",
            found=f"no folder '{output.parent}'",
            expected="an existing folder",
            mend=f"mkdir -p '{output.parent}'",
        )
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


def _keep_inputs(selection: Selection, output: Path, folder: Path) -> None:
    """Refuse to write over what is read: cells, or a checkpoint inside of the results' folder."""
    sources = [selection.params.get(role) for role in ("input", "query", "checkpoint")]
    for read in [Path(str(source)).resolve() for source in sources if source]:
        if read in (output, folder) or folder in read.parents:
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
