"""First pass over one file: its content, which cells pass the filters, and their hashes."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sc_mamba2.cells.blocks import decide_stored_form, standard_blocks
from sc_mamba2.cells.contract import check_matched
from sc_mamba2.cells.corpus.duplicates import hash_cells
from sc_mamba2.cells.corpus.filters import FEW_GENES, filter_table
from sc_mamba2.cells.corpus.options import CorpusFilters
from sc_mamba2.cells.expression import CELLS_PER_BLOCK
from sc_mamba2.cells.keys import Kind
from sc_mamba2.cells.opening import Source, open_cells
from sc_mamba2.cells.standard_form import StandardForm
from sc_mamba2.errors import UserError
from sc_mamba2.genes import load_gene_table


@dataclass(frozen=True)
class ReadingRules:
    """How to read every file of a corpus."""

    filters: CorpusFilters = field(default_factory=CorpusFilters)
    gene_table: str = "gencode-v44"
    layer: str | None = None  # to use as the expression
    holds: Kind | None = None  # scale of its values
    cells_a_block: int = CELLS_PER_BLOCK


@dataclass(eq=False)
class FileScan:
    """Result of the first pass: `form`, `kept` (N,) bool and `hashes` of the kept; or an `error`."""

    source: Source
    report: dict[str, Any]
    form: StandardForm | None = None
    kept: np.ndarray = field(default_factory=lambda: np.zeros(0, bool))
    hashes: np.ndarray = field(default_factory=lambda: np.zeros(0, np.uint64))
    error: UserError | None = None


def scan_file(source: Source, rules: ReadingRules) -> FileScan:
    """Scan one file; nothing is written.

    If the file is refused, the scan holds the `error`, whose message begins with the source.
    """
    empty = {"source": str(source), "cells": 0, "kept": 0, "dropped": {}, "columns_absent": []}
    try:
        return _scan(source, rules, empty | {"error": None})
    except UserError as error:
        message = {"rule": error.rule, "found": f"{source}: {error.found}"}
        message |= {"expected": error.expected, "mend": error.mend}
        return FileScan(source, empty | {"error": message}, error=UserError(**message))


def _scan(source: Source, rules: ReadingRules, empty: dict[str, Any]) -> FileScan:
    filters, together = rules.filters, rules.cells_a_block
    with open_cells(source) as stored:
        form = decide_stored_form(
            stored, load_gene_table(rules.gene_table), together, rules.layer, rules.holds
        )
        check_matched(
            form.report["genes"], filters.minimum_matched_share, filters.minimum_matched_genes
        )
        sieve = filter_table(stored.obs, filters)
        candidates = np.flatnonzero(sieve.kept)
        rich, hashes = [np.zeros(0, bool)], [np.zeros(0, np.uint64)]
        for block in standard_blocks(stored, form, together, sieve.kept):
            rich.append(np.diff(block.X.indptr) >= filters.minimum_genes)
            hashes.append(hash_cells(block)[rich[-1]])
    passes = np.zeros(len(sieve.kept), bool)
    passes[candidates[np.concatenate(rich)]] = True
    sieve.drop(FEW_GENES, passes)
    report = empty | {
        "cells": len(passes),
        "kept": int(sieve.kept.sum()),
        "dropped": sieve.dropped,
        "columns_absent": sieve.columns_absent,
    }
    return FileScan(source, report | form.report, form, sieve.kept, np.concatenate(hashes))
