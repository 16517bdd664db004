"""Build a corpus from many files: scan each, drop duplicates over all, hand each file's cells on.

Files are independent tasks in both passes. Duplicates are resolved in between, in the order of the
sources, so the result does not depend on the number of workers or on their timing.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import anndata as ad
import numpy as np

from sc_mamba2.cells.blocks import standard_blocks
from sc_mamba2.cells.corpus.duplicates import first_occurrences
from sc_mamba2.cells.corpus.executors import in_order, open_executor
from sc_mamba2.cells.corpus.filters import DUPLICATE
from sc_mamba2.cells.corpus.scan import FileScan, ReadingRules, scan_file
from sc_mamba2.cells.opening import Source, open_cells
from sc_mamba2.cells.standard_form import StandardForm
from sc_mamba2.errors import UserError


@dataclass(frozen=True, eq=False)
class CorpusFile:
    """One file of a corpus as passed to a worker."""

    number: int  # position in the sorted sources; names the file's output
    source: Source
    form: StandardForm
    kept: np.ndarray  # (N,) bool, cells of the file in the corpus
    cells_a_block: int

    def blocks(self) -> Iterator[ad.AnnData]:
        """Yield the kept cells in the standard form, in the file's order, in blocks.

        Rule ``file-changed``: the number of cells has changed since the scan.
        """
        with open_cells(self.source) as stored:
            if len(stored.obs) != len(self.kept):
                raise UserError(
                    "file-changed",
                    found=f"{self.source} holds {len(stored.obs):,} cells, {len(self.kept):,} before",
                    expected="files that do not change while a corpus is made",
                    mend="start again",
                )
            yield from standard_blocks(stored, self.form, self.cells_a_block, self.kept)


Consume = Callable[[CorpusFile], Any]


def ingest_corpus(
    sources: Sequence[Source],
    rules: ReadingRules,
    consume: Consume,
    *,
    on_bad_file: Literal["stop", "skip"] = "stop",
    workers: int = 1,
    dask_address: str | None = None,
    on_file: Callable[[int, int], None] = lambda done, of: None,
) -> dict[str, Any]:
    """Pass the cells of a corpus to a consumer, file by file.

    Parameters
    ----------
    sources
        In the order of the corpus (`list_sources`).
    rules
        Filters and reading.
    consume
        Called once in a worker for each file with kept cells; it and its results must be picklable.
        Calls are independent: name outputs by `CorpusFile.number`.
    on_bad_file
        Stop before anything is consumed, or skip the refused file and report it.
    workers
        Processes on this machine; 1 works in this process.
    dask_address
        A Dask scheduler whose workers see the same paths, to use instead of processes.
    on_file
        Called with the number of files done and of all; each file counts twice: scanned, consumed.

    Returns
    -------
    dict
        JSON-able except for the results: ``total`` and, in the order of the sources, ``files``, each
        with `cells`, `kept`, `dropped` by reason, `columns_absent`, `genes`, `expression`, `error`
        and ``result``, what `consume` returned, ``None`` if it was not called.

    Raises
    ------
    UserError
        The first bad file in order; or rule ``corpus-nothing-kept``.
    """
    with open_executor(workers, dask_address) as pool:
        scans = []
        for scan in in_order(pool, partial(scan_file, rules=rules), sources):
            if scan.error is not None and on_bad_file == "stop":
                raise scan.error
            scans.append(scan)
            on_file(len(scans), 2 * len(sources))
        _drop_duplicates(scans)
        total = _total(scans)
        files = [
            CorpusFile(number, scan.source, scan.form, scan.kept, rules.cells_a_block)
            for number, scan in enumerate(scans)
            if scan.form is not None and scan.kept.any()
        ]
        results = {}
        for file, result in zip(files, in_order(pool, consume, files), strict=True):
            results[file.number] = result
            on_file(len(scans) + len(results), len(scans) + len(files))
    reports = [scan.report | {"result": results.get(number)} for number, scan in enumerate(scans)]
    return {"total": total, "files": reports}


def _drop_duplicates(scans: list[FileScan]) -> None:
    """Keep the first of equal cells over all files, and free the hashes."""
    for scan, first in zip(scans, first_occurrences([s.hashes for s in scans]), strict=True):
        scan.kept[np.flatnonzero(scan.kept)[~first]] = False
        scan.hashes = np.zeros(0, np.uint64)
        if scan.error is None:
            scan.report["dropped"][DUPLICATE] = int((~first).sum())
            scan.report["kept"] = int(first.sum())


def _total(scans: list[FileScan]) -> dict[str, Any]:
    """Sum over the files; rule ``corpus-nothing-kept``."""
    dropped: Counter[str] = Counter()
    for scan in scans:
        dropped.update(scan.report["dropped"])
    total = {
        "files": len(scans),
        "bad_files": sum(scan.error is not None for scan in scans),
        "cells": sum(scan.report["cells"] for scan in scans),
        "kept": sum(scan.report["kept"] for scan in scans),
        "dropped": dict(dropped),
    }
    if total["kept"]:
        return total
    reasons = ", ".join(f"{count:,} by {reason}" for reason, count in dropped.items())
    absent = sorted({column for scan in scans for column in scan.report["columns_absent"]})
    raise UserError(
        "corpus-nothing-kept",
        found=f"none of {total['cells']:,} cells in {total['files']:,} files kept "
        f"({reasons or 'no cells'}; {total['bad_files']:,} bad files)",
        expected="cells that pass the filters",
        mend="relax the filters; their values must match those in obs exactly"
        + (f"; no file has {', '.join(absent)}" if absent else ""),
    )
