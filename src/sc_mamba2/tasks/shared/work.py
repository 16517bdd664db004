"""Estimates of long work: steps are counted, and timed by the first few on the real cells.

Each task has its own probes; `runs.probes` lists them.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from sc_mamba2.tokens import TokenizedCells

PROBED_STEPS = 3


class ProbeDone(Exception):  # noqa: N818
    """Raised when a loop has taken the steps that a probe needs."""


class Clock:
    """An `on_step` callback that times the steps of a loop, and ends it by `ProbeDone`."""

    def __init__(self) -> None:
        self.steps, self._times = 0, [perf_counter()]

    def note(self, step: int, steps: int, *_: Any) -> None:
        """Record the end of a step."""
        self.steps = steps
        self._times.append(perf_counter())

    def __call__(self, step: int, steps: int) -> None:
        """Record the end of a step; raise `ProbeDone` after `PROBED_STEPS`."""
        self.note(step, steps)
        if self.taken == PROBED_STEPS:
            raise ProbeDone

    @property
    def taken(self) -> int:
        """Number of steps taken."""
        return len(self._times) - 1

    @property
    def seconds_a_step(self) -> float:
        """Mean time of a step, without the first, which is slower."""
        first = min(1, self.taken - 1)
        return (self._times[-1] - self._times[first]) / (self.taken - first)


@dataclass(frozen=True)
class TokenCount:
    """Token counts of some cells, including `<cls>`.

    Attributes
    ----------
    cells, tokens
        Number of cells, and of tokens in all of them.
    median, longest
        Tokens per cell.
    limit
        Maximum number of tokens per cell.
    at_limit
        Cells of exactly that length, truncated or not.
    counted
        Cells that were counted; if fewer than `cells`, the totals are extrapolated.
    """

    cells: int
    tokens: int
    median: float
    longest: int
    limit: int
    at_limit: int
    counted: int


def count_tokens(genes_N: np.ndarray, limit: int, of_cells: int | None = None) -> TokenCount:
    """Count the tokens of cells from their numbers of genes.

    If they are an even sample of `of_cells` cells, extrapolate to all of these.
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
    steps, step
        Maximum number of steps, and what a step is.
    probed, seconds_a_step, seconds
        Steps that were timed, time per step, and total time; ``None`` if no step could be timed.
    epochs
        Maximum number of epochs, if any.
    tokens
        Token counts by role of the cells.
    parameters, trained
        Number of model parameters, all and trained.
    state_bytes, peak_bytes
        Memory of weights, gradients and optimizer; peak memory of the process.
    tokens_a_second
        Speed without gradients.
    facts
        Further facts.
    reports
        Reports of matched and dropped genes by role of the cells, if not in a dataset.
    writes
        Paths written in addition to the datasets of the pipeline.
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
    """Return the tokens per second of `run` over a few batches of cells of all lengths."""
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
    """Return the work of running a model over cells once, from its tokens per second."""
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
