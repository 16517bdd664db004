"""Start a Kedro session from code: in a project (`scm run`), or in a folder of its own (a verb)."""

import contextlib
import copy
from dataclasses import dataclass
from pathlib import Path

from kedro.framework.project import configure_project, pipelines
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from kedro.pipeline import Pipeline
from kedro.utils import find_kedro_project, load_obj

from sc_mamba2.errors import UserError, nearest
from sc_mamba2.files import sole_writer
from sc_mamba2.runs.configuration import check_params, choose_environment, shipped_conf
from sc_mamba2.runs.dry_run import DryRunner, dry
from sc_mamba2.runs.logs import apply_logging
from sc_mamba2.runs.records import kept_folder
from sc_mamba2.runs.selection import PARTS, Selection

PACKAGE = "sc_mamba2"


@dataclass(frozen=True)
class Finished:
    """A run that ended well, and the folder of its record; of a dry one the files that it would write."""

    written: dict[str, Path]
    record: Path | None = None


def find_project(start: Path) -> Path:
    """Return the folder of this project at or above `start`.

    Raises
    ------
    UserError
        Rule ``project-missing``.
    """
    project = find_kedro_project(start)
    if project is None or bootstrap_project(project).package_name != PACKAGE:
        raise UserError(
            "project-missing",
            found=f"no sc-mamba2 project at or above '{start}'",
            expected="a clone of the project, or what `scm init` made (pyproject.toml, conf/, data/)",
            mend="change into the project's folder, or make one: scm init FOLDER; "
            "`scm annotate` works in any folder",
        )
    return Path(project)


def run_in_project(selection: Selection, project: Path) -> Finished:
    """Run a selection in a project; only one run at a time writes there.

    Raises
    ------
    UserError
        Unknown names or parameters, bad input, or another run at work.
    """
    bootstrap_project(project)
    conf = Path(selection.conf_source).absolute() if selection.conf_source else project / "conf"
    if (estimate := dry()) is not None:
        with contextlib.chdir(project):
            finished = _run(selection, project, conf)
        estimate.writes.extend(finished.written.values())
        return finished
    lock = project / "data" / ".scm.lock"
    lock.parent.mkdir(exist_ok=True)
    mend = "wait for it, or clone the project once more"
    # Paths in parameters are the project's, from whichever of its folders it was called.
    with sole_writer(lock, to="this project", mend=mend), contextlib.chdir(project):
        return _run(selection, project, conf)


def run_in_folder(selection: Selection, folder: Path) -> Finished:
    """Run a selection with the shipped configuration; everything is written under `folder`.

    Without an environment `base` alone is read: a person's `local` belongs to their project.
    """
    configure_project(PACKAGE)
    selection = selection.model_copy(update={"env": selection.env or "base"})
    return _run(selection, folder, shipped_conf())


def _run(selection: Selection, project: Path, conf: Path) -> Finished:
    apply_logging()
    check_names(selection)
    env = choose_environment(conf, selection.env)
    check_params(selection.params, conf, env)
    estimate = dry()
    runner = _runner(selection.runner)
    with KedroSession.create(
        project_path=project,
        env=env,
        conf_source=str(conf),
        runtime_params=copy.deepcopy(selection.params),  # Kedro changes them in place
    ) as session:
        chosen = _chosen_nodes(selection)
        if estimate is None:
            session.run(runner=runner, **selection.session_arguments())
        else:  # past the session, whose plugins write down what ran
            DryRunner(estimate).run(chosen, session.load_context().catalog)
        catalog = session.load_context().catalog
        outputs = sorted(chosen.all_outputs())
        paths = {name: getattr(catalog.get(name), "filepath", None) for name in outputs}
        kept = kept_folder(project, session.session_id)
    written = {name: path for name, path in paths.items() if path}
    if estimate is not None:
        return Finished(written)
    return Finished({name: path for name, path in written.items() if path.exists()}, kept)


def _chosen_nodes(selection: Selection) -> Pipeline:
    """Return the part of the pipelines that a selection runs."""
    names = selection.pipelines or ("__default__",)
    part = {name: getattr(selection, name) or None for name in PARTS}
    whole = sum((pipelines[name] for name in names), Pipeline([]))
    return whole.filter(node_namespaces=part.pop("namespaces"), **part)


def check_names(selection: Selection) -> None:
    """Refuse pipelines that there are not; rule ``pipeline-unknown``."""
    for name in selection.pipelines:
        if name not in pipelines:
            known = sorted(other for other in pipelines if not other.startswith("__"))
            raise UserError(
                "pipeline-unknown",
                found=f"the pipeline '{name}'",
                expected=f"one of {', '.join(known)}",
                mend="name one of these" + nearest(name, known),
            )


def _runner(name: str | None):
    try:
        return load_obj(name or "SequentialRunner", "kedro.runner")()
    except (ImportError, AttributeError, ValueError, TypeError) as error:
        known = ("SequentialRunner", "ThreadRunner", "ParallelRunner")
        raise UserError(
            "runner-unknown",
            found=f"the runner '{name}'",
            expected=f"one of {', '.join(known)}, or the dotted path of a runner",
            mend="name one of these" + nearest(str(name), known),
        ) from error
