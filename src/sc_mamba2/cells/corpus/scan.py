"""First pass over one file: what it holds, which cells pass the filters, and their hashes."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sc_mamba2.cells.blocks import decide_stored_form, standard_blocks
from sc_mamba2.cells.contract import check_matched
from sc_mamba2.cells.corpus.duplicates import hash_cells
from sc_mamba2.cells.corpus.filters import FEW_GENES, CorpusFilters, sift_table
from sc_mamba2.cells.opening import Source, open_cells
from sc_mamba2.cells.standard_form import StandardForm
from sc_mamba2.errors import UserError
from sc_mamba2.genes import load_gene_table


@dataclass(frozen=True)
class ReadingRules:
    """How every file of a corpus is read.

    Parameters
    ----------
    filters
        Which cells are kept.
    gene_table
        Name of a shipped gene table.
    layer
        Layer that must be taken as the expression.
    cells_a_block
        Cells that are in memory together.
    """

    filters: CorpusFilters = field(default_factory=CorpusFilters)
    gene_table: str = "gencode-v44"
    layer: str | None = None
    cells_a_block: int = 4096


@dataclass(eq=False)
class FileScan:
    """What the first pass found: `form`, `kept` (N,) bool and `hashes` of the kept; or an `error`."""

    source: Source
    report: dict[str, Any]
    form: StandardForm | None = None
    kept: np.ndarray = field(default_factory=lambda: np.zeros(0, bool))
    hashes: np.ndarray = field(default_factory=lambda: np.zeros(0, np.uint64))
    error: UserError | None = None


def scan_file(source: Source, rules: ReadingRules) -> FileScan:
    """Look through one file; nothing is written.

    Parameters
    ----------
    source
        What `open_cells` takes.
    rules
        How it is read.

    Returns
    -------
    FileScan
        With `error` where the file is refused; its message begins with the source then.
    """
    try:
        return _scan(source, rules)
    except UserError as error:
        named = UserError(
            error.rule,
            found=f"{source}: {error.found}",
            expected=error.expected,
            mend=error.mend,
        )
        return FileScan(source, empty_report(source, named), error=named)


def empty_report(source: Source, error: UserError | None = None) -> dict[str, Any]:
    """Return the report of a file of which nothing is kept."""
    told = error and {name: getattr(error, name) for name in ("rule", "found", "expected", "mend")}
    return {
        "source": str(source),
        "cells": 0,
        "kept": 0,
        "dropped": {},
        "columns_absent": [],
        "error": told,
    }


def _scan(source: Source, rules: ReadingRules) -> FileScan:
    filters, together = rules.filters, rules.cells_a_block
    with open_cells(source) as stored:
        form = decide_stored_form(stored, load_gene_table(rules.gene_table), together, rules.layer)
        check_matched(
            form.report["genes"], filters.minimum_matched_share, filters.minimum_matched_genes
        )
        sieve = sift_table(stored.obs, filters)
        candidates = np.flatnonzero(sieve.kept)
        rich, hashes = [np.zeros(0, bool)], [np.zeros(0, np.uint64)]
        for block in standard_blocks(stored, form, together, sieve.kept):
            rich.append(np.diff(block.X.indptr) >= filters.minimum_genes)
            hashes.append(hash_cells(block)[rich[-1]])
    passes = np.zeros(len(sieve.kept), bool)
    passes[candidates[np.concatenate(rich)]] = True
    sieve.drop(FEW_GENES, passes)
    report = empty_report(source) | {
        "cells": len(passes),
        "kept": int(sieve.kept.sum()),
        "dropped": sieve.dropped,
        "columns_absent": sieve.columns_absent,
    }
    return FileScan(source, report | form.report, form, sieve.kept, np.concatenate(hashes))
