"""Cells a second and core from a file to what a model reads, beside other loaders.

    OMP_NUM_THREADS=1 python benchmarks/loading.py [--cells 8192] [--genes 1500 2375] [--repeats 3]

Simulated cells with lognormal numbers of genes, of 20,000 genes, in the page cache. Every row is one
process without workers. Writes `results/loading.json` and a Markdown table. Other loaders are skipped,
with the reason, where they are not installed; they give rows of expression, which then would still
have to be tokenised.
"""

import argparse
import json
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pandas as pd
import torch
from machine import describe_machine
from scipy import sparse

from sc_mamba2.genes import load_vocabulary
from sc_mamba2.tokens import (
    MaskOptions,
    Sampler,
    Tokenizer,
    TokenizerRules,
    TokenStore,
    TokenStoreWriter,
    make_batch,
    mask_tokens,
)

RESULTS = Path(__file__).parent / "results"
BATCH = 64
COLUMNS = 20_000
Row = Callable[["Corpus"], Iterator[int]]


@dataclass
class Corpus:
    """The same simulated cells as `.h5ad` and as a token store."""

    file: Path
    store: TokenStore
    matrix: sparse.csr_matrix
    gene_ids: np.ndarray

    def blocks(self) -> list[np.ndarray]:
        """Give the batches of neighbouring cells, in the order of the file."""
        return np.split(np.arange(len(self.store)), range(BATCH, len(self.store), BATCH))

    def by_chance(self) -> list[np.ndarray]:
        """Give batches of cells from anywhere, each sorted as HDF5 asks for."""
        cells = np.random.default_rng(0).permutation(len(self.store))
        return [np.sort(batch) for batch in np.split(cells, range(BATCH, len(cells), BATCH))]

    def in_order_of_training(self) -> list[np.ndarray]:
        """Give the batches of one epoch."""
        return list(Sampler(self.store.lengths, BATCH, seed=0).batches(0))


def useful_share(lengths: np.ndarray, batches: list[np.ndarray]) -> float:
    """Return the share of a padded epoch's tokens that are real (with `<cls>`), from 0 to 1."""
    real = sum(int(lengths[batch].sum()) + len(batch) for batch in batches)
    padded = sum(len(batch) * (1 + int(lengths[batch].max(initial=0))) for batch in batches)
    return real / padded


def make_corpus(folder: Path, cells: int, genes: int) -> Corpus:
    """Simulate cells whose number of genes is lognormal with the median `genes`."""
    generator = np.random.default_rng(0)
    vocabulary = load_vocabulary()
    rows = np.sort(generator.choice(vocabulary.gene_rows, COLUMNS, replace=False))
    gene_ids = np.array([vocabulary.ids[row] for row in rows])
    lengths = generator.lognormal(np.log(genes), 0.5, cells).astype(int).clip(50, 4000)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    indices = [np.sort(generator.choice(COLUMNS, length, replace=False)) for length in lengths]
    counts = generator.geometric(0.5, offsets[-1])
    totals = np.add.reduceat(counts, offsets[:-1])
    values = np.log1p(1e4 * counts / np.repeat(totals, lengths)).astype(np.float32)
    parts = (values, np.concatenate(indices).astype(np.int32), offsets.astype(np.int32))
    matrix = sparse.csr_matrix(parts, shape=(cells, COLUMNS))
    obs = pd.DataFrame(index=[f"cell {number}" for number in range(cells)])
    anndata.AnnData(matrix, obs, pd.DataFrame(index=gene_ids)).write_h5ad(folder / "cells.h5ad")
    tokenizer = Tokenizer(vocabulary, TokenizerRules())
    with TokenStoreWriter(folder / "store", tokenizer) as writer:
        for start in range(0, cells, 1024):
            part = slice(start, start + 1024)
            writer.add(tokenizer.tokenize(matrix[part], gene_ids, obs[part]))
    return Corpus(folder / "cells.h5ad", TokenStore.open(folder / "store"), matrix, gene_ids)


def store_to_batches(corpus: Corpus, order: list[np.ndarray]) -> Iterator[int]:
    """Read batches of tokens from the store."""
    for cells in order:
        make_batch(corpus.store, cells, corpus.store.tokenizer.vocabulary)
        yield len(cells)


def store_to_masked(corpus: Corpus) -> Iterator[int]:
    """Read batches in the order of training and mask them, as pretraining does."""
    tokenizer, options = corpus.store.tokenizer, MaskOptions()
    for cells in corpus.in_order_of_training():
        batch = make_batch(corpus.store, cells, tokenizer.vocabulary)
        mask_tokens(batch, tokenizer, options, seed=0, epoch=0)
        yield len(cells)


def matrix_to_tokens(corpus: Corpus) -> Iterator[int]:
    """Tokenise a CSR matrix in memory, 1,024 cells at a time."""
    edges = [*range(0, len(corpus.store), 1024), len(corpus.store)]
    for start, stop in pairwise(edges):
        obs = pd.DataFrame(index=range(stop - start))
        corpus.store.tokenizer.tokenize(corpus.matrix[start:stop], corpus.gene_ids, obs)
        yield stop - start


def file_to_tokens(corpus: Corpus) -> Iterator[int]:
    """Read the backed `.h5ad` 1,024 cells at a time and tokenise them."""
    cells = anndata.read_h5ad(corpus.file, backed="r")
    for start in range(0, len(corpus.store), 1024):
        part = cells[start : start + 1024].to_memory()
        corpus.store.tokenizer.tokenize(part.X, corpus.gene_ids, part.obs)
        yield part.n_obs


def backed_rows(corpus: Corpus) -> Iterator[int]:
    """Read random rows of the backed `.h5ad`, a batch at a time; no tokens."""
    cells = anndata.read_h5ad(corpus.file, backed="r")
    for batch in corpus.by_chance():
        yield cells[batch].to_memory().X.shape[0]


def annloader_rows(corpus: Corpus) -> Iterator[int]:
    """Read shuffled batches of the backed `.h5ad` by AnnLoader; no tokens."""
    loader = import_module("anndata.experimental").AnnLoader
    cells = anndata.read_h5ad(corpus.file, backed="r")
    for batch in loader(cells, batch_size=BATCH, shuffle=True):
        yield batch.X.shape[0]


def scdataset_rows(corpus: Corpus) -> Iterator[int]:
    """Read block-shuffled batches of the backed `.h5ad` by scDataset; no tokens."""
    library = import_module("scdataset")
    cells = anndata.read_h5ad(corpus.file, backed="r")
    strategy = library.BlockShuffling(block_size=BATCH)
    to_memory = anndata.AnnData.to_memory
    dataset = library.scDataset(cells, strategy, BATCH, fetch_transform=to_memory)
    for batch in dataset:
        yield batch.X.shape[0]


def annbatch_rows(corpus: Corpus) -> Iterator[int]:
    """Stand for annbatch, which reads zarr and asks for Python 3.12; not compared yet."""
    raise ImportError("annbatch needs Python 3.12 or later")


ROWS: dict[str, Row] = {
    "token store, neighbouring cells, to a batch": lambda c: store_to_batches(c, c.blocks()),
    "token store, training order, to a batch": lambda c: store_to_batches(
        c, c.in_order_of_training()
    ),
    "token store, random cells, to a batch": lambda c: store_to_batches(c, c.by_chance()),
    "token store, training order, to a masked batch": store_to_masked,
    "CSR matrix in memory to tokens": matrix_to_tokens,
    "h5ad, neighbouring cells, to tokens": file_to_tokens,
    "anndata backed, random rows": backed_rows,
    "AnnLoader backed, shuffled": annloader_rows,
    "scDataset, block-shuffled": scdataset_rows,
    "annbatch": annbatch_rows,
}


def cells_per_second(row: Row, corpus: Corpus, repeats: int, limit_s: float) -> float:
    """Time a row `repeats` times after one for warming up, each cut off at `limit_s`; the median.

    The time is that of the process on all cores together, so that others on the machine count
    little. Files are in the page cache: nothing waits for a disk.
    """
    rates = []
    for _ in range(1 + repeats):
        started, seen = time.process_time(), 0
        for count in row(corpus):
            seen += count
            if time.process_time() - started > limit_s:
                break
        rates.append(seen / (time.process_time() - started))
    return float(np.median(rates[1:]))


def measure(cells: int, genes: int, repeats: int) -> dict[str, Any]:
    """Measure all rows over one corpus."""
    record: dict[str, Any] = {"median_genes": genes, "cells": cells, "batch": BATCH}
    with tempfile.TemporaryDirectory() as folder:
        corpus = make_corpus(Path(folder), cells, genes)
        record["mean_genes"] = round(float(corpus.store.lengths.mean()))
        record["useful_share"] = {
            "neighbouring cells": round(useful_share(corpus.store.lengths, corpus.blocks()), 3),
            "training order": round(
                useful_share(corpus.store.lengths, corpus.in_order_of_training()), 3
            ),
        }
        record["cells_per_second"], record["skipped"] = {}, {}
        for name, row in ROWS.items():
            try:
                rate = cells_per_second(row, corpus, repeats, limit_s=4)
            except ImportError as error:
                record["skipped"][name] = str(error)
                continue
            record["cells_per_second"][name] = round(rate)
            print(f"{genes:,} genes, {name}: {rate:,.0f}", flush=True)
    return record


def markdown(records: list[dict[str, Any]]) -> str:
    """Return a table: a loader a line, a corpus a column."""
    heads = [f"{record['median_genes']:,} genes" for record in records]
    lines = [
        "### Loading: cells a second and core (median number of genes a cell)\n",
        f"| | {' | '.join(heads)} |",
        "|---" * (1 + len(heads)) + "|",
    ]
    for name in records[0]["cells_per_second"]:
        rates = [f"{record['cells_per_second'][name]:,}" for record in records]
        lines.append(f"| {name} | {' | '.join(rates)} |")
    for order in records[0]["useful_share"]:
        shares = [f"{record['useful_share'][order]:.1%}" for record in records]
        lines.append(f"| useful tokens of a batch, {order} | {' | '.join(shares)} |")
    lines += [f"\nSkipped: {name} ({why})." for name, why in records[0]["skipped"].items()]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure every corpus asked for and keep the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--cells", type=int, default=8192)
    parser.add_argument("--genes", nargs="+", type=int, default=[1500, 2375])
    parser.add_argument("--repeats", type=int, default=3)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    records = [measure(chosen.cells, genes, chosen.repeats) for genes in chosen.genes]
    RESULTS.mkdir(exist_ok=True)
    record = {"machine": describe_machine(), "corpora": records}
    (RESULTS / "loading.json").write_text(json.dumps(record, indent=1) + "\n")
    (RESULTS / "loading.md").write_text(markdown(records))
    print(markdown(records))


if __name__ == "__main__":
    main()
