"""Start a Kedro session from code: in a project (`scm run`), or in a separate folder (a verb)."""

import contextlib
import copy
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sc_mamba2.runs.kedro_project import configure_project, pipelines  # isort: skip
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline
from kedro.utils import load_obj

from sc_mamba2.errors import UserError
from sc_mamba2.files import atomic_file, make_folder, sole_writer
from sc_mamba2.runs.configuration import read_globals, shipped_conf
from sc_mamba2.runs.dry_run import dry
from sc_mamba2.runs.dry_runner import DryRunner
from sc_mamba2.runs.logs import apply_logging
from sc_mamba2.runs.preflight import check_run, conf_of, unknown_runner
from sc_mamba2.runs.project import PACKAGE
from sc_mamba2.runs.records import kept_folder
from sc_mamba2.runs.selection import PARTS, Selection


@dataclass(frozen=True)
class Finished:
    """The files that a successful run wrote (a dry run: would write), and the folder of its record."""

    written: dict[str, Path]
    record: Path | None = None


def run_in_project(selection: Selection, project: Path) -> Finished:
    """Run a selection in a project; only one run at a time writes there.

    Raises
    ------
    UserError
        Unknown names or parameters, bad input, or another run in progress.
    """
    bootstrap_project(project)
    conf = conf_of(selection, project)
    if (estimate := dry()) is not None:
        with contextlib.chdir(project):
            finished = _run(selection, project, conf)
        estimate.writes.extend(finished.written.values())
        return finished
    mend = "wait for it, or run in another copy of the project"
    with contextlib.ExitStack() as held:
        for folder in _written_folders(project, read_globals(conf, selection.env)):
            folder.mkdir(parents=True, exist_ok=True)
            held.enter_context(sole_writer(folder / ".scm.lock", to="this project", mend=mend))
        # Paths in parameters are relative to the project, wherever the command was called.
        held.enter_context(contextlib.chdir(project))
        return _run(selection, project, conf)


def _written_folders(project: Path, places: Mapping[str, Any]) -> list[Path]:
    """Return the folders that runs write to; raise ``data-of-another`` if one is another project's."""
    own, named = (project / "data").resolve(), str(places.get("data", "data"))
    layers = (project / named).resolve()
    if "${" in named or layers.is_relative_to(project.resolve()):
        return [own]
    mark, here = layers / ".scm.project", str(project.resolve())
    whose = mark.read_text(encoding="utf-8").strip() if mark.is_file() else here
    if whose != here and (Path(whose) / "pyproject.toml").is_file():
        raise UserError(
            "data-of-another",
            found=f"the data folder '{layers}' belongs to the project '{whose}'",
            expected="a data folder used by this project only, since each would overwrite the other's results",
            mend="set another as `data` in conf/base/globals.yml, such as data",
        )
    make_folder(layers)
    with atomic_file(mark) as draft:
        draft.write_text(here, encoding="utf-8")
    return [own, layers]


def run_in_folder(selection: Selection, folder: Path) -> Finished:
    """Run a selection with the shipped configuration; everything is written under `folder`.

    Without an environment only `base` is read, not `local`, which belongs to a project.
    """
    configure_project(PACKAGE)
    selection = selection.model_copy(update={"env": selection.env or "base"})
    return _run(selection, folder, shipped_conf())


def _run(selection: Selection, project: Path, conf: Path) -> Finished:
    apply_logging()
    env = check_run(selection, conf, selection.env)
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
            catalog = runner.catalog
        else:  # bypass the session, whose plugins record runs
            catalog = session.load_context().catalog
            DryRunner(estimate).run(chosen, catalog)
        outputs = sorted(chosen.all_outputs())
        paths = {name: getattr(catalog.get(name), "filepath", None) for name in outputs}
        kept = kept_folder(project, session.session_id)
    written = {name: path for name, path in paths.items() if path}
    if estimate is not None:
        return Finished(written)
    return Finished({name: path for name, path in written.items() if path.exists()}, kept)


def _chosen_nodes(selection: Selection) -> Pipeline:
    """Return the nodes that a selection runs."""
    names = selection.pipelines or ("__default__",)
    part = {name: getattr(selection, name) or None for name in PARTS}
    whole = sum((pipelines[name] for name in names), Pipeline([]))
    return whole.filter(node_namespaces=part.pop("namespaces"), **part)


def _runner(name: str | None):
    """Return a runner that keeps its catalog, to avoid reading the whole configuration again."""
    try:
        kind = load_obj(name or "SequentialRunner", "kedro.runner")

        class Keeping(kind):
            def run(self, pipeline: Pipeline, catalog: CatalogProtocol, *more: Any, **named: Any):
                self.catalog = catalog
                return super().run(pipeline, catalog, *more, **named)

        return Keeping()
    except (ImportError, AttributeError, ValueError, TypeError) as error:
        raise unknown_runner(str(name)) from error
