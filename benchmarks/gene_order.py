"""How far the order of a cell's genes matters: embeddings and annotation under three orders.

    python benchmarks/gene_order.py [--rows held-out zheng] [--seeds 0 1 2] [--epochs 30]

Orders: the vocabulary's (the default), by expression (highest value first), by chance (one fixed
order a cell). Trained and read in each; and trained in the vocabulary's, read in the others.
Writes `results/gene_order.json`. The functions are the nodes of the annotation pipeline.
"""

import argparse
import copy
import itertools
import json
import sys
import time
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from machine import describe_machine
from scipy.spatial.distance import pdist

from sc_mamba2.cells import read_cells, read_labels
from sc_mamba2.metrics.classification import classification_metrics
from sc_mamba2.model import Backbone
from sc_mamba2.tasks.annotation.annotator import LABEL
from sc_mamba2.tasks.annotation.baselines import variant
from sc_mamba2.tasks.annotation.fit import attach_head, split_validation
from sc_mamba2.tasks.annotation.model import AnnotationModel
from sc_mamba2.tasks.annotation.params import HeadParams, LabelParams
from sc_mamba2.tasks.annotation.split import hold_out, stratified_split
from sc_mamba2.tasks.shared.backbone import (
    encode_cells,
    fine_tune,
    load_or_build_backbone,
    predict,
)
from sc_mamba2.tasks.shared.params import (
    BackboneParams,
    EncodeParams,
    FineTuneParams,
    IngestionParams,
    PredictParams,
    TokenizationParams,
)
from sc_mamba2.tasks.shared.tokenization import fit_tokenizer, tokenize_cells
from sc_mamba2.tasks.shared.validation import ingest_cells
from sc_mamba2.tokens import TokenizedCells, Tokenizer
from sc_mamba2.training import ComputeOptions

RESULTS = Path(__file__).parent / "results"
SHARED = Path(__file__).parents[2] / "shared" / "data"
ORDERS = ("vocabulary", "expression", "random")
PATHS = ("trunk alone", "all paths")
SCORES = ("accuracy", "macro_f1")
CHANCE = 20_261_124  # of the random order, beside the cell's name
# Source, column of labels, cells at most (a stratified part, the same for every seed), epochs at
# most: so that 36 trainings take under half an hour on one busy core; 150 steps each. A
# lone trunk still learns then, so differences between orders are of speed as well; see --epochs.
ROWS: dict[str, tuple[str, str, int, int]] = {
    "held-out": ("scanpy:pbmc68k_reduced", "bulk_labels", 700, 10),
    "zheng": (str(SHARED / "zheng_facs_pbmc.h5ad"), "cell_type_broad", 700, 10),
}


def reorder(tokens: TokenizedCells, order: str) -> TokenizedCells:
    """Put the entries of every cell in another order; a pure function.

    Parameters
    ----------
    tokens
        N cells, genes in vocabulary order.
    order
        ``vocabulary``: as they are; ``expression``: highest value first, ties by vocabulary;
        ``random``: by chance, fixed by the cell's name.
    """
    if order == "vocabulary":
        return tokens
    cell = np.repeat(np.arange(len(tokens)), tokens.lengths)
    key = -tokens.values if order == "expression" else _chances(tokens)
    entries = np.lexsort((tokens.gene_rows, key, cell))
    moved = {name: getattr(tokens, name)[entries] for name in ("gene_rows", "bins", "values")}
    return replace(tokens, **moved)


def _chances(tokens: TokenizedCells) -> np.ndarray:
    draws = [
        np.random.default_rng([CHANCE, zlib.crc32(str(name).encode())]).random(length)
        for name, length in zip(tokens.obs.index, tokens.lengths, strict=True)
    ]
    return np.concatenate([np.zeros(0), *draws])


@dataclass(frozen=True)
class Prepared:
    """One split of one data set, tokenised in vocabulary order, and the untrained backbone."""

    tokenizer: Tokenizer
    training: TokenizedCells
    validation: TokenizedCells
    query: TokenizedCells
    truth: np.ndarray
    backbone: Backbone
    labels: LabelParams
    compute: ComputeOptions


def prepare(row: str, seed: int) -> Prepared:
    """Read, split 80/20 and tokenise; every order starts from the same weights and split."""
    source, key, most, _ = ROWS[row]
    raw = read_cells(source)
    if raw.n_obs > most:
        names = read_labels(raw.obs, key).astype(str).to_numpy()
        raw = raw[stratified_split(names, most / raw.n_obs, seed=0)[1]].copy()
    cells, _ = ingest_cells(raw, IngestionParams())
    labels, compute = LabelParams(key=key), ComputeOptions(seed=seed, device="cpu")
    training_cells, query_cells, truth = hold_out(cells, labels, compute)
    tokenizer = fit_tokenizer(training_cells, query_cells, TokenizationParams())
    labelled = tokenize_cells(training_cells, tokenizer)
    training, validation = split_validation(labelled, labels, compute)
    query = tokenize_cells(query_cells, tokenizer)
    backbone = load_or_build_backbone(tokenizer, training, BackboneParams(), compute)
    names = truth[LABEL].to_numpy()
    return Prepared(tokenizer, training, validation, query, names, backbone, labels, compute)


def train(data: Prepared, order: str, paths: str, epochs: int) -> tuple[AnnotationModel, int]:
    """Train all paths, or the trunk alone, on cells in one order; return model and epochs run."""
    options = FineTuneParams(max_epochs=epochs)
    model = attach_head(
        copy.deepcopy(data.backbone),
        data.tokenizer,
        data.training,
        HeadParams(),
        data.labels,
        data.compute,
    )
    if paths == "trunk alone":
        model, options = variant("trunk_alone", model, options, data.compute.seed)
    sets = reorder(data.training, order), reorder(data.validation, order)
    trained, history = fine_tune(model, *sets, options, data.compute)
    return trained, len(history)


def call(model: AnnotationModel, data: Prepared, order: str) -> np.ndarray:
    """Call the query's cells, read in one order; class names (N,)."""
    outputs = predict(model, reorder(data.query, order), PredictParams(), data.compute)
    return np.asarray(model.labels, dtype=object)[outputs["probability"].argmax(axis=1)]


def embed(model: AnnotationModel, data: Prepared, order: str) -> np.ndarray:
    """Return the backbone's state at `<cls>` of the query's cells, read in one order, (N, D)."""
    tokens = reorder(data.query, order)
    found = encode_cells(model.backbone, tokens, data.tokenizer, EncodeParams(), data.compute)
    return found.astype(np.float64)


def movement(model: AnnotationModel, data: Prepared) -> dict[str, Any]:
    """Say how far a model of the vocabulary's order moves when cells are read in the others.

    Relative L2 is the distance over the norm of the state in vocabulary order; between different
    cells both are means over all pairs of the query, the norm being the mean of the two.
    """
    at_home, calls = embed(model, data, "vocabulary"), call(model, data, "vocabulary")
    norm = np.linalg.norm(at_home, axis=1)
    pair_norm = [(a + b) / 2 for at, a in enumerate(norm) for b in norm[at + 1 :]]
    found: dict[str, Any] = {
        "between cells": {
            "cosine": float(pdist(at_home, "cosine").mean()),
            "relative_l2": float((pdist(at_home) / pair_norm).mean()),
        }
    }
    for order in ORDERS[1:]:
        away, other = embed(model, data, order), call(model, data, order)
        cosine = (away * at_home).sum(1) / (norm * np.linalg.norm(away, axis=1))
        found[order] = {
            "cosine": float((1 - cosine).mean()),
            "relative_l2": float((np.linalg.norm(away - at_home, axis=1) / norm).mean()),
            "calls_changed": float((other != calls).mean()),
            **_scores(data, other),
        }
    return found


def _scores(data: Prepared, calls: np.ndarray) -> dict[str, float]:
    scores = classification_metrics(data.truth, calls)
    return {name: scores[name] for name in SCORES}


def run_seed(row: str, seed: int, epochs: int) -> dict[str, Any]:
    """Train every order and both sets of paths with one seed."""
    started, data = time.perf_counter(), prepare(row, seed)
    scores: dict[str, Any] = {paths: {} for paths in PATHS}
    moved = {}
    for paths in PATHS:
        for order in ORDERS:
            model, ran = train(data, order, paths, epochs)
            scores[paths][order] = _scores(data, call(model, data, order)) | {"epochs": ran}
            print(f"{row}, seed {seed}, {paths}, {order}: {scores[paths][order]}", flush=True)
            if order == "vocabulary":
                moved[paths] = movement(model, data)
    sizes = {name: len(getattr(data, name)) for name in ("training", "validation", "query")}
    tokens = float(np.median(data.query.lengths))
    seconds = round(time.perf_counter() - started)
    facts = {
        "cells": sizes,
        "max_epochs": epochs,
        "median_genes_a_cell": tokens,
        "seconds": seconds,
    }
    return {"seed": seed, **facts, "scores": scores, "read_in_another_order": moved}


def tables(row: str, runs: list[dict[str, Any]]) -> str:
    """Return two Markdown tables: scores by order, and movement; means ± deviation over seeds."""
    lines = [f"### {row}: {len(runs)} seeds, mean ± standard deviation; Δ: paired by seed\n"]
    lines += [
        "| paths | order | accuracy | Δ vocabulary | macro F1 | Δ vocabulary |",
        "|---" * 6 + "|",
    ]
    for paths in PATHS:
        for order in ORDERS:
            columns = []
            for score in SCORES:
                here, home = (
                    np.array([run["scores"][paths][name][score] for run in runs])
                    for name in (order, "vocabulary")
                )
                columns += [_spread(here), _spread(here - home) if order != "vocabulary" else ""]
            lines.append(f"| {paths} | {order} | {' | '.join(columns)} |")
    names = ("cosine", "relative_l2", "calls_changed", *SCORES)
    lines += ["", "Trained in vocabulary order:\n", f"| paths | read in | {' | '.join(names)} |"]
    lines.append("|---" * (2 + len(names)) + "|")
    for paths in PATHS:
        moves = [run["read_in_another_order"][paths] for run in runs]
        for order in moves[0]:
            columns = [
                _spread(np.array([move[order][name] for move in moves]))
                if name in moves[0][order]
                else ""
                for name in names
            ]
            lines.append(f"| {paths} | {order} | {' | '.join(columns)} |")
    return "\n".join(lines) + "\n"


def _spread(values: np.ndarray) -> str:
    return f"{values.mean():.4f} ± {values.std():.4f}"


def main() -> None:
    """Run the rows asked for; skip, with a reason, those whose data is absent."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rows", nargs="+", choices=list(ROWS), default=list(ROWS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, help="at most, in the place of each row's own")
    parser.add_argument("--out", type=Path, default=RESULTS / "gene_order.json")
    chosen = parser.parse_args()
    record: dict[str, Any] = {
        "command": " ".join(["python benchmarks/gene_order.py", *sys.argv[1:]]),
        "machine": describe_machine(),
        "seeds": chosen.seeds,
        "backbone": BackboneParams().model_dump(),
        "fine_tune": FineTuneParams().model_dump(exclude={"max_epochs"}),
    }
    for row in list(chosen.rows):
        if row == "zheng" and not SHARED.is_dir():
            print(f"skipped {row}: no folder {SHARED.name} beside the project")
            chosen.rows.remove(row)
    runs = record["rows"] = {row: [] for row in chosen.rows}
    for seed, row in itertools.product(chosen.seeds, chosen.rows):
        runs[row].append(run_seed(row, seed, chosen.epochs or ROWS[row][3]))
        print(f"{row}, seed {seed}: {runs[row][-1]['seconds']} s", flush=True)
        chosen.out.parent.mkdir(exist_ok=True)
        chosen.out.write_text(json.dumps(record, indent=1) + "\n")
    for row in chosen.rows:
        print(tables(row, runs[row]), flush=True)


if __name__ == "__main__":
    main()
