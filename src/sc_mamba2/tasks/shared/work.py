"""What the long work of a pipeline comes to: counted, and timed by its first steps on the real cells.

The probes, one for each kind of work, stand beside what they probe; `probes` lists them.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from sc_mamba2.tokens import TokenizedCells

PROBED_STEPS = 3


class Enough(Exception):  # noqa: N818
    """A loop has taken the steps that a probe asks for."""


class Clock:
    """Takes the time of a loop's steps as its `on_step`, and ends it by `Enough`."""

    def __init__(self) -> None:
        self.steps, self._times = 0, [perf_counter()]

    def note(self, step: int, steps: int, *_: Any) -> None:
        """Note the end of a step."""
        self.steps = steps
        self._times.append(perf_counter())

    def __call__(self, step: int, steps: int) -> None:
        """Note the end of a step, and end the loop after a few."""
        self.note(step, steps)
        if self.taken == PROBED_STEPS:
            raise Enough

    @property
    def taken(self) -> int:
        """Count the steps that were taken."""
        return len(self._times) - 1

    @property
    def seconds_a_step(self) -> float:
        """Return the mean without the first step, which is slower."""
        first = min(1, self.taken - 1)
        return (self._times[-1] - self._times[first]) / (self.taken - first)


@dataclass(frozen=True)
class TokenCount:
    """Tokens of some cells, `<cls>` with them.

    Attributes
    ----------
    cells, tokens
        How many; tokens of all cells together.
    median, longest
        Tokens a cell.
    limit
        Tokens a cell at most.
    at_limit
        Cells as long as the limit: cut, or just so long.
    counted
        Cells that were looked at; where they are not all, the rest is told from them.
    """

    cells: int
    tokens: int
    median: float
    longest: int
    limit: int
    at_limit: int
    counted: int


def count_tokens(genes_N: np.ndarray, limit: int, of_cells: int | None = None) -> TokenCount:
    """Count the tokens of cells with so many genes each.

    Where they are an even sample of `of_cells` cells, those of all are told from it.
    """
    lengths = np.asarray(genes_N, dtype=np.int64) + 1
    cells = len(lengths) if of_cells is None else of_cells
    share = cells / max(1, len(lengths))
    return TokenCount(
        cells=cells,
        tokens=round(int(lengths.sum()) * share),
        median=float(np.median(lengths)) if len(lengths) else 0.0,
        longest=int(lengths.max(initial=0)),
        limit=limit,
        at_limit=round(int((lengths == limit).sum()) * share),
        counted=len(lengths),
    )


@dataclass(frozen=True)
class Work:
    """The long work of a pipeline.

    Attributes
    ----------
    name
        What it is.
    steps, step
        How many at most, and of what each is.
    probed, seconds_a_step, seconds
        Steps that were taken, the time of one, and of all of them with what goes with them; None
        where there is no step to take the time of.
    epochs
        At most, where there are any.
    tokens
        By the role of the cells.
    parameters, trained
        Numbers of the model, and those of them that are trained.
    state_bytes, peak_bytes
        What weights, gradients and optimizer take; the most that the process held.
    tokens_a_second
        Without gradients.
    facts
        What else is known.
    reports
        What was matched and dropped, by the role of the cells, where no dataset says so.
    writes
        What the work writes beside the datasets of its pipeline.
    """

    name: str
    steps: int
    step: str
    probed: int
    seconds_a_step: float | None
    seconds: float | None
    tokens: dict[str, TokenCount]
    parameters: int
    peak_bytes: int
    trained: int = 0
    state_bytes: int = 0
    epochs: int | None = None
    tokens_a_second: float | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    reports: dict[str, Any] = field(default_factory=dict)
    writes: tuple[Path, ...] = ()


def forward_rate(
    run: Callable[[TokenizedCells], Any], tokens: TokenizedCells, batch_size: int
) -> float:
    """Return the tokens a second of `run` over a few batches, from cells of all lengths."""
    by_length = np.argsort(tokens.lengths, kind="stable")
    count = min(len(tokens), PROBED_STEPS * batch_size)
    some = tokens.take(by_length[np.arange(count) * len(tokens) // max(1, count)])
    run(some.take(np.arange(min(count, batch_size))))  # the first batch is slower
    started = perf_counter()
    run(some)
    return (len(some.gene_rows) + len(some)) / (perf_counter() - started)


def forward_work(
    name: str, tokens: dict[str, TokenCount], rate: float, batch_size: int, **known: Any
) -> Work:
    """Return the work of running a model over cells once, by its tokens a second."""
    steps = sum(-(-count.cells // batch_size) for count in tokens.values())
    seconds = sum(count.tokens for count in tokens.values()) / rate
    return Work(
        name=name,
        steps=steps,
        step=f"{batch_size:,} cells",
        probed=min(steps, PROBED_STEPS),
        seconds_a_step=seconds / max(1, steps),
        seconds=seconds,
        tokens=tokens,
        tokens_a_second=rate,
        **known,
    )
