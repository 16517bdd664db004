"""Annotation with few labels on a study that the checkpoint has not seen, beside what is simple.

    python benchmarks/few_labels.py scm-counts
    python benchmarks/few_labels.py verb

`verb` is `scm annotate` as it comes, the same without a checkpoint, and the baselines of its report, on
Kang and the pancreas; it writes `results/few_labels_verb.json` and `.md`.

With a checkpoint: Kang's 13 types, 5 and 20 cells of each (half of a type at most), all other cells
tested, 3 seeds. Every method is the same logistic regression with C chosen by cross-validation on the
labelled cells; they differ in the blocks of features that it reads. The one number that is not
cross-validated, the variance of an embedding beside the genes, is chosen on another study, the pancreas,
which no shipped checkpoint saw. Writes `results/few_labels.json` and `.md`.
"""

import argparse
import json
from pathlib import Path

import anndata as ad
import numpy as np
import scanpy as sc
import torch
from machine import describe_machine
from scipy import sparse
from sklearn.decomposition import TruncatedSVD
from sklearn.metrics import accuracy_score, f1_score

from sc_mamba2 import from_pretrained, tl
from sc_mamba2.cells import keys
from sc_mamba2.methods.logistic_regression import fit_linear_head
from sc_mamba2.model import Backbone, PretrainedModel
from sc_mamba2.tasks.annotation.baselines import baseline_calls
from sc_mamba2.tasks.annotation.params import AnnotationParams, BaselineParams, LabelParams
from sc_mamba2.tasks.annotation.split import take_query
from sc_mamba2.tasks.shared.parameters import build_parameters
from sc_mamba2.tasks.shared.params import SHARED_GROUPS
from sc_mamba2.tl.shared import valid_cells
from sc_mamba2.tokens import TokenizedCells, as_matrix
from sc_mamba2.training import run_over_cells, seed_everything

RESULTS = Path(__file__).parent / "results"
SHARED = Path(__file__).parents[2] / "shared" / "data"
GRID, FOLDS = (0.01, 0.1, 1.0, 10.0), 3
KANG = ["kang2018_a", "kang2018_b"]
GROUPS = {"annotation": AnnotationParams, **SHARED_GROUPS}
VARIANCES = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
Features = dict[str, np.ndarray | sparse.csr_matrix]


def read(name: str, label: str) -> tuple[sparse.csr_matrix, np.ndarray, np.ndarray]:
    """Return log-normalised values, Ensembl ids and labels of a file."""
    cells = ad.read_h5ad(SHARED / f"{name}.h5ad")
    sc.pp.normalize_total(cells, target_sum=1e4)
    sc.pp.log1p(cells)
    matrix = sparse.csr_matrix(cells.X, dtype=np.float32)
    return (
        matrix,
        cells.var["ensembl_id"].astype(str).to_numpy(),
        cells.obs[label].astype(str).to_numpy(),
    )


def embed(model: PretrainedModel, matrix: sparse.csr_matrix, ids: np.ndarray) -> Features:
    """Return what a model tells of cells: state at `<cls>`, what entered there, sums of its genes."""
    import pandas as pd

    obs = pd.DataFrame(index=[str(n) for n in range(matrix.shape[0])])
    tokens = model.tokenizer.tokenize(matrix, ids, obs)
    backbone, vocabulary = model.backbone, model.tokenizer.vocabulary

    def states(batch):
        enters = backbone.embed(batch.token_ids_BL, batch.bins_BL, batch.lengths_B)[:, 0]
        return {
            "enters": enters,
            "trunk": backbone(batch.token_ids_BL, batch.bins_BL, batch.lengths_B)[:, 0],
        }

    found = run_over_cells(states, tokens, vocabulary, 32, torch.device("cpu"))
    return {"trunk": found["trunk"], "enters": found["enters"], "pooled": pooled(model, tokens)}


def pooled(model: PretrainedModel, tokens: TokenizedCells) -> np.ndarray:
    """Sum value times gene embedding over a cell's genes."""
    table = model.backbone.gene_embedding.weight.detach().double().numpy()
    return as_matrix(tokens, len(table)) @ table


def untrained(model: PretrainedModel, seed: int) -> PretrainedModel:
    """Return the same model as it is before any training, genes drawn by chance."""
    seed_everything(seed)
    return PretrainedModel(Backbone(model.backbone.config), model.tokenizer, model.heads).eval()


def few(labels: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Choose some cells of each type, half of it at most, (N,) bool."""
    chance, chosen = np.random.default_rng(seed), np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        mine = np.flatnonzero(labels == label)
        chosen[chance.permutation(mine)[: min(count, len(mine) // 2)]] = True
    return chosen


def score(blocks: list, variances: list[float], labels: np.ndarray, count: int, seed: int) -> dict:
    """Fit on a few cells of each type and score the rest."""
    names, classes = np.unique(labels, return_inverse=True)
    chosen = few(labels, count, seed)
    fitted = fit_linear_head(
        [block[chosen] for block in blocks],
        variances,
        classes[chosen],
        len(names),
        GRID,
        FOLDS,
        seed,
    )
    told = fitted.logits([block[~chosen] for block in blocks]).argmax(axis=1)
    return {
        "accuracy": accuracy_score(classes[~chosen], told),
        "macro_f1": f1_score(classes[~chosen], told, average="macro"),
    }


METHODS = {
    "logistic regression, all genes": ["genes"],
    "model: genes + trunk": ["genes", "trunk"],
    "genes + pooled + trunk": ["genes", "pooled", "trunk"],
    "genes + pooled": ["genes", "pooled"],
    "genes + what enters the trunk at <cls>": ["genes", "enters"],
    "trunk alone": ["trunk"],
    "what enters the trunk at <cls>, alone": ["enters"],
    "pooled alone": ["pooled"],
    "without pretraining: genes + trunk": ["genes", "trunk, untrained"],
    "without pretraining: trunk alone": ["trunk, untrained"],
    "genes + SVD of the corpus": ["genes", "svd"],
    "SVD of the corpus alone": ["svd"],
}


def features(
    model: PretrainedModel, name: str, label: str, corpus: ad.AnnData
) -> tuple[Features, np.ndarray]:
    """Return every block of features of a study, and its labels."""
    matrix, ids, labels = read(name, label)
    found: Features = {"genes": matrix.astype(np.float64)} | embed(model, matrix, ids)
    other = embed(untrained(model, 0), matrix, ids)
    found |= {f"{block}, untrained": other[block] for block in ("pooled", "trunk")}
    place = {gene: at for at, gene in enumerate(corpus.var["ensembl_id"].astype(str))}
    shared = [at for at, gene in enumerate(ids) if gene in place]
    svd = TruncatedSVD(128, random_state=0).fit(corpus.X[:, [place[ids[at]] for at in shared]])
    found["svd"] = svd.transform(found["genes"][:, shared])
    return found, labels


def tune(found: Features, labels: np.ndarray, blocks: list[str]) -> dict[float, float]:
    """Return the mean accuracy over both counts by variance of the embeddings beside the genes."""
    parts = [found[block] for block in blocks]
    means = {}
    for variance in VARIANCES if len(blocks) > 1 else (1.0,):
        variances = [1.0] + [variance] * (len(parts) - 1)
        runs = [
            score(parts, variances, labels, count, seed) for count in (5, 20) for seed in range(3)
        ]
        means[variance] = float(np.mean([run["accuracy"] for run in runs]))
    return means


def main() -> None:
    """Run all methods and write the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("checkpoint", help="or: verb")
    parser.add_argument("--corpus-without", nargs="+", default=KANG)
    chosen = parser.parse_args()
    if chosen.checkpoint == "verb":
        run_verb()
        return
    run(chosen.checkpoint, chosen.corpus_without)


def run(checkpoint: str, corpus_without: list[str] | None = None) -> None:
    """Run all methods with a checkpoint and write the tables; say why, where there is no study."""
    corpus_without = KANG if corpus_without is None else corpus_without
    if not SHARED.is_dir():
        print(f"skipped: no folder {SHARED.name} beside the project")
        return
    torch.set_num_threads(1)
    model = from_pretrained(checkpoint)
    corpus = ad.read_h5ad(SHARED / "pretrain_corpus_human.h5ad")
    corpus = corpus[~corpus.obs["study"].isin(corpus_without)].copy()
    sc.pp.normalize_total(corpus, target_sum=1e4)
    sc.pp.log1p(corpus)
    tuning = features(model, "pancreas_panc8_1000x1000", "cell_type", corpus)
    found, labels = features(model, "kang_ifnb_pbmc", "cell_type", corpus)
    rows = []
    for method, blocks in METHODS.items():
        tuned = tune(*tuning, blocks)
        variance = max(tuned, key=tuned.__getitem__)
        print(method, "on the other study", {key: round(got, 3) for key, got in tuned.items()})
        variances = [1.0] + [variance] * (len(blocks) - 1)
        for count in (5, 20):
            runs = [
                score([found[b] for b in blocks], variances, labels, count, s) for s in range(3)
            ]
            rows.append(
                {
                    "method": method,
                    "labels": count,
                    "variance": variance,
                    "tuned": tuned,
                    "runs": runs,
                }
            )
            print(method, count, variance, np.round([r["accuracy"] for r in runs], 3), flush=True)
    RESULTS.mkdir(exist_ok=True)
    record = {
        "machine": describe_machine(),
        "model": model.origin,
        "variances": VARIANCES,
        "rows": rows,
    }
    (RESULTS / "few_labels.json").write_text(json.dumps(record, indent=1) + "\n")
    (RESULTS / "few_labels.md").write_text(markdown(rows))
    print(markdown(rows))


def called_by_verb(cells: ad.AnnData, count: int, seed: int) -> dict[str, dict[str, float]]:
    """Call all but a few labelled cells, and return the scores by way."""
    labels = cells.obs["cell_type"].astype(str).to_numpy()
    chosen = few(labels, count, seed)
    reference, query = cells[chosen].copy(), cells[~chosen].copy()
    truth = query.obs["cell_type"].astype(str)
    without = {"annotation.consensus.few_labels": 0}
    ways = {}
    for way, params in {"scm annotate": {}, "without a checkpoint": without}.items():
        done = tl.annotate(query, reference, label_key="cell_type", copy=True, params=params)
        ways[way] = done.obs[keys.CELL_TYPE]
    groups = build_parameters(GROUPS, {"annotation.labels.key": "cell_type"})
    known, asked = (valid_cells(part, groups).valid for part in (reference, query))
    training, valid, _ = take_query(known, asked, LabelParams(key="cell_type"))
    simple = baseline_calls(training, valid, BaselineParams(), 0)
    ways["logistic regression"] = simple["logistic_regression"]
    ways["PCA, neighbours"] = simple["pca_knn"]
    return {
        way: {
            "accuracy": accuracy_score(truth, calls.astype(str).loc[truth.index]),
            "macro_f1": f1_score(truth, calls.astype(str).loc[truth.index], average="macro"),
        }
        for way, calls in ways.items()
    }


def run_verb() -> None:
    """Run the verb with few labels on two studies, and write the tables."""
    rows = []
    for study in ("kang_ifnb_pbmc", "pancreas_panc8_1000x1000"):
        cells = ad.read_h5ad(SHARED / f"{study}.h5ad")
        for count in (5, 20):
            runs = [called_by_verb(cells, count, seed) for seed in range(3)]
            for way in runs[0]:
                rows.append(
                    {"study": study, "method": way, "labels": count, "runs": [r[way] for r in runs]}
                )
                print(rows[-1], flush=True)
    record = {"machine": describe_machine(), "rows": rows}
    (RESULTS / "few_labels_verb.json").write_text(json.dumps(record, indent=1) + "\n")
    text = ""
    for study in dict.fromkeys(row["study"] for row in rows):
        mine = [row for row in rows if row["study"] == study]
        text += f"## {study}\n\n{markdown(mine)}\n"
    (RESULTS / "few_labels_verb.md").write_text(text)


def markdown(rows: list[dict]) -> str:
    """Return a table: a method a line, mean and standard deviation over the seeds."""
    lines = [
        "| method | 5: accuracy | 5: macro F1 | 20: accuracy | 20: macro F1 |",
        "|---|---|---|---|---|",
    ]
    for method in dict.fromkeys(row["method"] for row in rows):
        cells = []
        for row in (row for row in rows if row["method"] == method):
            for name in ("accuracy", "macro_f1"):
                values = [run[name] for run in row["runs"]]
                cells.append(f"{np.mean(values):.3f} ± {np.std(values):.3f}")
        lines.append(f"| {method} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
