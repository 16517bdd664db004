"""Repeat a run with the same parameters, data and code, then compare the scores."""

from collections.abc import Iterator
from contextlib import ExitStack, chdir, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from kedro.config import OmegaConfigLoader

from sc_mamba2.errors import UserError
from sc_mamba2.files import make_folder, scratch_folder
from sc_mamba2.runs.compare import Comparison, compare_runs
from sc_mamba2.runs.configuration import (
    SOURCES,
    choose_environment,
    data_folder,
    load_configuration,
)
from sc_mamba2.runs.fingerprints import code_facts, fingerprint
from sc_mamba2.runs.preflight import conf_of
from sc_mamba2.runs.records import RunRecord, read_record, write_record
from sc_mamba2.runs.selection import Selection, merge, nest
from sc_mamba2.runs.session import run_in_project
from sc_mamba2.tasks.shared.parameters import flatten

_BLOCKS = ("embedding.source.blocks", "annotation.launch.blocks")


@dataclass(frozen=True)
class Repeated:
    """The repetition of a run, and its comparison with the original."""

    run: RunRecord
    comparison: Comparison

    @property
    def equal(self) -> bool:
        """Whether parameters and scores are equal."""
        return not (self.comparison.parameters or self.comparison.scores)


def rerun(record: RunRecord, project: Path, force: bool) -> Repeated:
    """Repeat a run of a project; with `force` even if code or data have changed.

    Raises
    ------
    UserError
        Rules ``rerun-state``, ``rerun-code`` and ``rerun-data``; and those of any run.
    """
    check_repeatable(record, project, force)
    loader = _configuration(record.selection, project)
    with _fresh_places(record, project / data_folder(loader)) as places:
        params = merge(nest(_params(record, loader)), nest(places))
        changes = {"params": params, "only_missing_outputs": False}
        folder = run_in_project(record.selection.model_copy(update=changes), project).record
    assert folder is not None, "a run that ended well has a record"
    new = read_record(folder).model_copy(update={"repeats": record.run_id})
    write_record(folder, new)
    return Repeated(new, compare_runs(record, new))


def check_repeatable(record: RunRecord, project: Path, force: bool) -> None:
    """Raise if a run did not finish, or its code or data have changed; see `rerun`."""
    if record.state != "finished":
        raise UserError(
            "rerun-state",
            found=f"the run '{record.run_id}' did not finish",
            expected="a run with results to compare with",
            mend="run it again: " + record.selection.kedro_line(),
        )
    if force:
        return
    now = code_facts()
    if now.sha256 != record.code.sha256:
        commit = record.code.commit
        back = f"git checkout {commit[:9]}, or " if commit and not record.code.changed else ""
        raise UserError(
            "rerun-code",
            found=f"the code is {now.name()}",
            expected=f"that of the run: {record.code.name()}",
            mend=f"{back}add --force to repeat it with the current code",
        )
    with chdir(project):
        for name, fact in record.data.items():
            if (sha256 := fingerprint(fact.sources)) != fact.sha256:
                raise UserError(
                    "rerun-data",
                    found=f"{name} ({', '.join(fact.sources)}) is {_hash(sha256)}",
                    expected=f"the data of the run: {_hash(fact.sha256)}",
                    mend="restore the data, or add --force to repeat it on the current data",
                )


def _hash(sha256: str | None) -> str:
    return f"sha256 {sha256[:12]}…" if sha256 else "nothing that can be read"


def _configuration(selection: Selection, project: Path) -> OmegaConfigLoader:
    conf = conf_of(selection, project)
    env = choose_environment(conf, selection.env)  # like the run: includes `local`
    return load_configuration(conf, env)


def _params(record: RunRecord, loader: OmegaConfigLoader) -> dict[str, object]:
    """Return the parameters of the run that differ from the project's configuration."""
    known = flatten(loader["parameters"]) | {name: loader["globals"].get(name) for name in SOURCES}
    return {
        name: value
        for name, value in record.parameters.items()
        if name not in known or known[name] != value
    }


@contextmanager
def _fresh_places(record: RunRecord, layers: Path) -> Iterator[dict[str, object]]:
    """Yield parameters with new folders for steps that would otherwise reuse results of an older run."""
    places: dict[str, object] = {}
    with ExitStack() as stack:
        for name in _BLOCKS:
            task, group, _ = name.split(".")
            if any(given.startswith(f"{task}.{group}.") for given in record.parameters):
                parent = layers / "07_model_output" / task
                make_folder(parent)
                scratch = stack.enter_context(scratch_folder(parent / "blocks"))
                places[name] = str(scratch / "blocks")
        if "pretraining.corpus.sources" in record.parameters:
            now = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
            places["pretraining.launch.run"] = str(layers / "06_models" / f"pretraining-{now}")
        yield places
