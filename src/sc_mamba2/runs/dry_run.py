"""The state of a dry run and its estimates; `dry_runner` runs it.

Inside `dry_run`, every run of this process is dry: nothing is written.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sc_mamba2.tasks.shared.work import TokenCount, Work


@dataclass
class DryRun:
    """The estimates of a dry run.

    Attributes
    ----------
    work
        The first long work, if any.
    reports
        Reports of matched and dropped genes, by role of the cells.
    later
        Tokens of cells that are predicted after training.
    ablations
        Variants that are trained after the model, each taking about as long.
    untimed
        Later nodes that are not included in the time.
    writes
        Paths that the run would write.
    """

    work: "Work | None" = None
    reports: dict[str, Any] = field(default_factory=dict)
    later: "dict[str, TokenCount]" = field(default_factory=dict)
    ablations: list[str] = field(default_factory=list)
    untimed: list[str] = field(default_factory=list)
    writes: list[Path] = field(default_factory=list)

    @property
    def seconds(self) -> float | None:
        """Time of the long work and of the predictions after it."""
        if self.work is None or self.work.seconds is None:
            return None
        if self.work.tokens_a_second is None:
            return self.work.seconds
        tokens = sum(count.tokens for count in self.later.values())
        return self.work.seconds + tokens / self.work.tokens_a_second

    def as_json(self) -> dict[str, Any]:
        """Return all estimates, JSON-ready."""
        values = {"dry_run": True} | asdict(self) | {"seconds": self.seconds}
        values["writes"] = [str(path) for path in self.writes]
        if self.work is not None:
            values["work"].pop("writes")
            values["work"].pop("reports")
        return values


_now: ContextVar[DryRun | None] = ContextVar("dry_run", default=None)
dry = _now.get  # the current dry run, or None


@contextmanager
def dry_run() -> Iterator[DryRun]:
    """Make every run dry inside the block; yield the estimates."""
    estimate = DryRun()
    token = _now.set(estimate)
    try:
        yield estimate
    finally:
        _now.reset(token)
