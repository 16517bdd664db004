"""What a pretraining is worth on studies that it never saw, with the Mamba2 layers and without.

    python benchmarks/pretrained.py trunk=FOLDER bag=FOLDER trunk_1=FOLDER ...

Every folder is one of `checkpoints.py train scm-counts`; names that differ by `_SEED` are one kind. Nats a
molecule come from the journals. Embeddings are frozen: types of Kang by neighbours and class means of
two studies that were trained on, and of a pancreas by its other studies, of which none was; AvgBIO of
Kang; logistic regression on 5 and 20 labels of each of Kang's 13 types. Beside them PCA of
`log1p(CP10K)`, rank-normal neighbours and prototypes, logistic regression on all genes. Writes
`results/pretrained.json` and `.md`.
"""

import argparse
import json
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import anndata as ad
import numpy as np
import torch
from few_labels import FOLDS, GRID
from machine import describe_machine
from scipy import sparse
from sklearn.decomposition import PCA
from sklearn.metrics import accuracy_score, f1_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler, normalize

from checkpoints import JUDGES
from sc_mamba2 import from_pretrained
from sc_mamba2.cells.standard_form import standardise
from sc_mamba2.genes import load_gene_table
from sc_mamba2.methods.logistic_regression import fit_linear_head
from sc_mamba2.methods.rank_scores import rank_scores
from sc_mamba2.metrics.integration import integration_scores
from sc_mamba2.tasks.shared.pooling import pool_cells
from sc_mamba2.training import run_over_cells
from sc_mamba2.training.journal import read_journal

RESULTS = Path(__file__).parent / "results"
SHARED = Path(__file__).parents[2] / "shared" / "data"
NEIGHBOURS, COMPONENTS, DRAWS = 15, 50, 5
Embed = Callable[[ad.AnnData], np.ndarray]
Scores = dict[str, float]


def read(name: str) -> ad.AnnData:
    """Return the cells of a file in the standard form."""
    return standardise(ad.read_h5ad(SHARED / f"{name}.h5ad"), load_gene_table())[0]


def of_model(folder: Path) -> Embed:
    """Return the embedding of a run's model."""
    model = from_pretrained(folder / "run" / "model")
    known: dict[tuple[str, ...], np.ndarray] = {}

    def embed(cells: ad.AnnData) -> np.ndarray:
        names = tuple(cells.obs_names)
        if names not in known:
            known[names] = embed_anew(cells)
        return known[names]

    def embed_anew(cells: ad.AnnData) -> np.ndarray:
        tokens = model.tokenizer.tokenize(cells.X.tocsr(), cells.var_names.to_numpy(), cells.obs)
        with torch.no_grad():
            found = run_over_cells(
                lambda batch: {"cell": pool_cells(model.backbone, batch, ("cls",))},
                tokens,
                model.tokenizer.vocabulary,
                32,
                torch.device("cpu"),
            )
        return found["cell"]

    return embed


def principal_components(*parts: ad.AnnData) -> list[np.ndarray]:
    """Embed cells together by a PCA of the genes that they share."""
    cells = ad.concat(parts, join="inner")
    dense = PCA(COMPONENTS, svd_solver="arpack", random_state=0).fit_transform(cells.X)
    return np.split(dense, np.cumsum([part.n_obs for part in parts])[:-1])


def rank_normal(*parts: ad.AnnData) -> list[np.ndarray]:
    """Embed cells together by the rank-normal scores of the genes that they share."""
    cells = ad.concat(parts, join="inner")
    dense = rank_scores(cells.X.tocsr()).of(np.arange(cells.n_vars))
    return np.split(dense, np.cumsum([part.n_obs for part in parts])[:-1])


def transfer(a_ND: np.ndarray, types: np.ndarray, b_ND: np.ndarray, truth: np.ndarray) -> Scores:
    """Call the types of cells by neighbours and by class means, cosine."""
    near = KNeighborsClassifier(NEIGHBOURS, metric="cosine").fit(a_ND, types)
    names = np.unique(types)
    means = np.stack([normalize(a_ND)[types == name].mean(axis=0) for name in names])
    nearest = names[(normalize(b_ND) @ normalize(means).T).argmax(axis=1)]
    called = {"neighbours": near.predict(b_ND), "class means": nearest}
    return {name: float(accuracy_score(truth, calls)) for name, calls in called.items()}


def few_labels(x: np.ndarray | sparse.csr_matrix, types: np.ndarray, labels: int) -> Scores:
    """Fit a logistic regression, C by cross-validation, to a few labels of each type; test all other cells."""
    found = []
    codes = np.unique(types, return_inverse=True)[1]
    sizes = np.bincount(codes)
    for draw in range(DRAWS):
        chance = np.random.default_rng(draw)
        known = np.concatenate(
            [
                chance.permutation(np.flatnonzero(codes == code))[: min(labels, size // 2)]
                for code, size in enumerate(sizes)
            ]
        )
        rest = np.setdiff1d(np.arange(len(codes)), known)
        fitted = fit_linear_head([x[known]], [1.0], codes[known], len(sizes), GRID, FOLDS, draw)
        called = fitted.logits([x[rest]]).argmax(axis=1)
        macro = f1_score(codes[rest], called, average="macro")
        found.append((accuracy_score(codes[rest], called), macro))
    accuracy, macro = np.mean(found, axis=0)
    return {f"accuracy, {labels}": float(accuracy), f"macro F1, {labels}": float(macro)}


def judge_embedding(
    together: Callable[..., list[np.ndarray]], data: dict[str, ad.AnnData]
) -> Scores:
    """Judge one way to embed cells; `together` embeds several sets at once."""
    kang, scores = data["kang"], {}
    truth = kang.obs["cell_type_broad"].astype(str).to_numpy()
    for name in ("zheng", "mudan"):
        reference = data[name]
        a_ND, b_ND = together(reference, kang)
        types = reference.obs["cell_type_broad"].astype(str).to_numpy()
        told = transfer(a_ND, types, b_ND, truth)
        scores |= {f"{name} to kang, {kind}": value for kind, value in told.items()}
    pancreas = data["pancreas"]
    types, study = (pancreas.obs[key].astype(str).to_numpy() for key in ("cell_type", "dataset"))
    by_kind = defaultdict(list)
    for left in np.unique(study):
        out = study == left
        a_ND, b_ND = together(pancreas[~out].copy(), pancreas[out].copy())
        for kind, value in transfer(a_ND, types[~out], b_ND, types[out]).items():
            by_kind[kind].append(value)
    scores |= {f"pancreas, {kind}": float(np.mean(values)) for kind, values in by_kind.items()}
    (z_ND,) = together(kang)
    bio = integration_scores(z_ND, batches=kang.obs["condition"], labels=kang.obs["cell_type"])
    scores["kang, AvgBIO"] = float(bio["avg_bio"])
    fine = kang.obs["cell_type"].astype(str).to_numpy()
    for labels in (5, 20):
        scores |= few_labels(StandardScaler().fit_transform(z_ND), fine, labels)
    return scores


def nats(folder: Path) -> Scores:
    """Return the last judgement of a run's journal, by study."""
    table = read_journal(folder / "run" / "journal.jsonl")
    last = table.dropna(subset=["held_out/loss"]).iloc[-1]
    kinds = ("plain", "posterior", "own_plain", "own_posterior", "means_plain", "means_posterior")
    return {
        f"{study.split('_')[0]}, {kind.replace('_', ' ')}": float(
            last[f"held_out/{kind}/{study}.h5ad"]
        )
        for study in JUDGES
        for kind in kinds
    } | {"steps": float(last["step"])}


def curve(folder: Path) -> dict[str, list[list[float]]]:
    """Return loss and held-out nats per molecule over the steps of a run, and the gene means'."""
    table = read_journal(folder / "run" / "journal.jsonl")
    names = {
        "training": "loss/posterior",
        "held_out": "held_out/own_posterior",
        "gene_means": "held_out/means_posterior",
    }
    return {
        name: table[["step", column]].dropna().to_numpy(float).tolist()
        for name, column in names.items()
    }


def markdown(found: dict[str, list[Scores]]) -> str:
    """Return a table, a score a line, mean and standard deviation over the seeds of each kind."""
    names = list(dict.fromkeys(name for rows in found.values() for row in rows for name in row))
    lines = [f"| | {' | '.join(found)} |", "|---" * (len(found) + 1) + "|"]
    for name in names:
        cells = []
        for rows in found.values():
            values = [row[name] for row in rows if name in row]
            spread = f" ± {np.std(values):.4f}" if len(values) > 1 else ""
            cells.append(f"{np.mean(values):.4f}{spread}" if values else "")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Judge all runs and what is simple, and write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("runs", nargs="+", metavar="KIND[_SEED]=FOLDER")
    torch.set_num_threads(1)
    data = {
        "kang": read("kang_ifnb_pbmc"),
        "zheng": read("zheng_facs_pbmc"),
        "mudan": read("mudan_sorted_pbmc_reference"),
        "pancreas": read("pancreas_panc8_1000x1000"),
    }
    found: dict[str, list[Scores]] = defaultdict(list)
    curves = defaultdict(list)
    for run in parser.parse_args().runs:
        name, _, folder = run.partition("=")
        curves[name.partition("_")[0]].append(curve(Path(folder)))
        embed = of_model(Path(folder))
        scores = judge_embedding(lambda *parts, embed=embed: [embed(part) for part in parts], data)
        found[name.partition("_")[0]].append(nats(Path(folder)) | scores)
    found["PCA"].append(judge_embedding(principal_components, data))
    found["rank-normal"].append(judge_embedding(rank_normal, data))
    kang = data["kang"]
    fine = kang.obs["cell_type"].astype(str).to_numpy()
    genes = [few_labels(kang.X.tocsr(), fine, labels) for labels in (5, 20)]
    found["all genes"].append(genes[0] | genes[1])
    table = markdown(found)
    (RESULTS / "pretrained.md").write_text(table, encoding="utf-8")
    content = {"machine": describe_machine(), "scores": found, "curves": curves}
    (RESULTS / "pretrained.json").write_text(json.dumps(content, indent=1), encoding="utf-8")
    print(table)


if __name__ == "__main__":
    main()
