"""Turn files into one token store: each file is tokenized where it is read, then all are joined.

A resumed run reuses what is complete: the tokens of a file, and the store, which is identified by its
parameters and by size and modification time of its files.
"""

import hashlib
import json
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sc_mamba2.cells.cell_ontology import load_cell_ontology
from sc_mamba2.cells.corpus import Consume, CorpusFile, ReadingRules, ingest_corpus, list_sources
from sc_mamba2.cells.opening import open_cells, source_facts
from sc_mamba2.errors import UserError
from sc_mamba2.files import atomic_file, atomic_folder
from sc_mamba2.genes import load_vocabulary
from sc_mamba2.tasks.pretraining.params import CorpusParams
from sc_mamba2.tasks.shared.progress import training_progress
from sc_mamba2.tokens import Tokenizer, TokenizerRules, TokenStore, TokenStoreWriter
from sc_mamba2.tokens.store.manifest import TOKENIZER
from sc_mamba2.training.corpus_cells import even_sample
from sc_mamba2.training.thinned_cells import SOURCE, TYPES

_CELLS_JOINED_AT_ONCE = 16_384


def make_corpus(params: CorpusParams) -> dict[str, Any]:
    """Ingest the sources and write their tokens as one store.

    Returns
    -------
    dict
        The report of `ingest_corpus`, with the number of cells and tokens of the store. A single source
        that is a token store is used in place, as ``folder``.
    """
    if (given := _given_store(params)) is not None:
        return given
    sources = list_sources(params.sources)
    done = Path(f"{params.store}.json")
    wanted = _identity(params, sources)
    if (report := _finished(done, wanted)) is not None:
        return report
    store = Path(params.store)
    parts = store.with_name(f"{store.name}-parts")
    report = _ingest(sources, params, partial(tokenize_file, params=params, folder=parts))
    joined = _join(_parts(report), store, make_tokenizer(params))
    shutil.rmtree(parts, ignore_errors=True)
    for row in report["files"]:
        row.pop("result")
    report |= {"store": {"cells": len(joined), "tokens": int(joined.lengths.sum())}}
    with atomic_file(done) as draft:
        table = {"identity": wanted, "store_sha256": joined.manifest.sha256, "report": report}
        draft.write_text(json.dumps(table, indent=1, default=str), encoding="utf-8")
    return report


def sample_corpus(params: CorpusParams, folder: Path, most: int) -> tuple[dict[str, Any], Path]:
    """Check the sources like `make_corpus`, and write the tokens of a sample of each file.

    Parameters
    ----------
    params
        As for `make_corpus`.
    most
        Approximate number of cells in total.

    Returns
    -------
    report
        Report on all cells; the ``result`` of a file is the folder of its sample.
    store
        The sample of all files, or the whole corpus if its store exists already.
    """
    if (given := _given_store(params)) is not None:
        return given, Path(given["store"]["folder"])
    sources = list_sources(params.sources)
    if (report := _finished(Path(f"{params.store}.json"), _identity(params, sources))) is not None:
        return report, Path(params.store)
    share = max(1, most // max(1, len(sources)))
    sample = partial(_tokenize_some, params=params, folder=folder / "parts", most=share)
    report = _ingest(sources, params, sample)
    return report, _join(_parts(report), folder / "store", make_tokenizer(params)).folder


def _given_store(params: CorpusParams) -> dict[str, Any] | None:
    """Return the report of a single source that is a token store, else ``None``."""
    folder = Path(params.sources[0]) if len(params.sources) == 1 else Path()
    if not (folder / TOKENIZER).is_file():
        return None
    store = TokenStore.open(folder)
    facts = {"cells": len(store), "tokens": int(store.lengths.sum())}
    return {"total": facts, "files": [], "store": facts | {"folder": str(folder)}}


def _tokenize_some(file: CorpusFile, params: CorpusParams, folder: Path, most: int) -> str:
    """Write the tokens of an even sample of a file's cells."""
    kept = np.zeros_like(file.kept)
    kept[even_sample(np.flatnonzero(file.kept), most)] = True
    return tokenize_file(replace(file, kept=kept), params, folder)


def _ingest(sources: list[str], params: CorpusParams, consume: Consume) -> dict[str, Any]:
    rules = ReadingRules(
        filters=params.filters,
        layer=params.layer,
        holds=params.holds,
        cells_a_block=params.cells_a_block,
    )
    with training_progress("corpus", unit="file") as on_file:
        return ingest_corpus(
            sources,
            rules,
            consume,
            on_bad_file=params.on_bad_file,
            workers=params.workers,
            dask_address=params.dask_address,
            on_file=on_file,
        )


def _parts(report: dict[str, Any]) -> list[Path]:
    return [Path(row["result"]) for row in report["files"] if row["result"]]


def tokenize_file(file: CorpusFile, params: CorpusParams, folder: Path) -> str:
    """Write the tokens of one file's cells as a separate store; return its folder.

    An existing store of the same cells and parameters is reused.
    """
    part = folder / f"{file.number:06d}-{_fingerprint(file, params)}"
    if not part.is_dir():
        tokenizer, terms = make_tokenizer(params), _Terms(file, params.label_columns)
        with atomic_folder(part) as draft, TokenStoreWriter(draft, tokenizer) as writer:
            for block in file.blocks():
                obs = _kept_columns(block.obs, params.keep_columns, str(file.source))
                obs[TYPES] = terms.of(block.obs)
                writer.add(tokenizer.tokenize(block.X, block.var_names.to_numpy(), obs))
    return str(part)


class _Terms:
    """Cell Ontology terms by label of one file; its labels are matched together."""

    def __init__(self, file: CorpusFile, columns: tuple[str, ...]) -> None:
        with open_cells(file.source) as stored:
            self.column = next((name for name in columns if name in stored.obs), None)
            labels: list[Any] = []
            if self.column is not None:
                labels = stored.obs[self.column].dropna().unique().tolist()
        ontology = load_cell_ontology()
        self.above = {
            label: " ".join([term, *sorted(ontology.ancestors(term) - {term})])
            for label, term in ontology.match(map(str, labels)).items()
        }

    def of(self, obs: pd.DataFrame) -> np.ndarray:
        """Return each cell's term and its ancestors, separated by spaces; empty if its label has none."""
        if self.column is None:
            return np.full(len(obs), "")
        return obs[self.column].astype(str).map(self.above).fillna("").to_numpy(dtype=str)


def make_tokenizer(params: CorpusParams) -> Tokenizer:
    """Make the tokenizer of a corpus."""
    rules = TokenizerRules(bins=params.bins, n_bins=params.n_bins, max_length=params.max_length)
    return Tokenizer(load_vocabulary(params.vocabulary), rules)


def _join(parts: list[Path], store: Path, tokenizer: Tokenizer) -> TokenStore:
    if not parts:
        raise UserError(
            "corpus-nothing-kept",
            found="no cell in any file",
            expected="cells that pass the filters",
            mend="see the report of each file",
        )
    with atomic_folder(store) as draft, TokenStoreWriter(draft, tokenizer) as writer:
        for part in parts:
            cells = TokenStore.open(part)
            for start in range(0, len(cells), _CELLS_JOINED_AT_ONCE):
                end = min(start + _CELLS_JOINED_AT_ONCE, len(cells))
                writer.add(cells.take(np.arange(start, end)))
    return TokenStore.open(store)


def _kept_columns(obs: pd.DataFrame, columns: tuple[str, ...], source: str) -> pd.DataFrame:
    """Return the named columns as text, empty if the file lacks one, and the source."""
    kept = {
        name: obs[name].astype(str).to_numpy() if name in obs else np.full(len(obs), "")
        for name in columns
    }
    return pd.DataFrame({**kept, SOURCE: Path(source).name}, index=obs.index.astype(str))


def _finished(done: Path, wanted: str) -> dict[str, Any] | None:
    """Return the report of an existing store made from the same files and parameters, else ``None``."""
    try:
        table = json.loads(done.read_text(encoding="utf-8"))
        store = TokenStore.open(done.with_suffix(""))
    except (OSError, ValueError, UserError):
        return None
    if table["identity"] != wanted or table["store_sha256"] != store.manifest.sha256:
        return None
    report: dict[str, Any] = table["report"]
    return report


def _identity(params: CorpusParams, sources: list[str]) -> str:
    """Hash the parameters, and size and modification time of every file."""
    files = [facts for source in sources for facts in source_facts(source)]
    table = params.model_dump(mode="json", exclude={"workers", "dask_address", "cells_a_block"})
    content = json.dumps([table, sources, files], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


def _fingerprint(file: CorpusFile, params: CorpusParams) -> str:
    table = params.model_dump(
        mode="json",
        include={"keep_columns", "label_columns", "vocabulary", "bins", "n_bins", "layer"},
    )
    table |= {"max_length": params.max_length, "source": str(file.source)}
    digest = hashlib.sha256(json.dumps(table, sort_keys=True).encode())
    digest.update(np.packbits(file.kept).tobytes())
    for _, *facts in source_facts(str(file.source)):
        digest.update(repr(tuple(facts)).encode())
    return digest.hexdigest()[:12]
