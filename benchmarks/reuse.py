"""A model that was trained once meets files with other genes; cells are mapped onto an index.

    python benchmarks/reuse.py [--parts default prototypes index] [--seed 0]

Checkpoint: an annotator learns broad types from Kang's cells and calls three other studies, with their
genes and with a half of them, beside one that is trained anew on the genes of each. Index: blood mapped
onto three studies of blood, then pancreas and cell lines. The cells are those of `../shared/data`, so
many of each. Writes `results/reuse_*.md`.
"""

import argparse
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import anndata as ad
import numpy as np
from sklearn.metrics import accuracy_score, roc_auc_score

from sc_mamba2 import tl
from sc_mamba2.cells import keys
from sc_mamba2.errors import UserError
from sc_mamba2.tasks.embedding.index import ReferenceIndex
from sc_mamba2.tasks.embedding.mapping import make_index, map_cells
from sc_mamba2.tasks.embedding.model import load_encoder
from sc_mamba2.tasks.embedding.params import (
    EmbeddingOptions,
    EmbeddingParams,
    KeyParams,
    SourceParams,
)
from sc_mamba2.tasks.embedding.predict import encode_file
from sc_mamba2.tasks.shared.params import IngestionParams, ValidationParams
from sc_mamba2.training import ComputeOptions

CELLS = {"default": 300, "prototypes": 1000, "index": 600}  # a study, by part
RESULTS = Path(__file__).parent / "results"
SHARED = Path(__file__).parents[2] / "shared" / "data"
BLOOD = {
    "kang": "kang_ifnb_pbmc",
    "zheng": "zheng_facs_pbmc",
    "mudan": "mudan_sorted_pbmc_reference",
    "cite": "pbmc_cite_5k10k_rna",
}
OTHERS = {"pancreas": "pancreas_panc8_1000x1000", "cell lines": "sc_mixology_celllines"}
TYPE, GATED = "cell_type_broad", "cell_type_protein_gated"
FITS = {
    "default": {},
    "prototypes": {
        "annotation.backbone.checkpoint": "scm-tiny",
        "tokenization.vocabulary": "scm-tiny",
        "tokenization.variable_genes": None,
        "annotation.head.fit": "prototypes",
        "annotation.head.paths": ("pooled", "readout"),
    },
}


def read(name: str, cells: int, seed: int) -> ad.AnnData:
    """Read some cells of a study, drawn evenly, with their broad types."""
    adata = ad.read_h5ad(SHARED / f"{(BLOOD | OTHERS)[name]}.h5ad")
    chosen = np.random.default_rng(seed).permutation(adata.n_obs)[:cells]
    adata = adata[np.sort(chosen)].copy()
    if GATED in adata.obs:
        adata.obs[TYPE] = adata.obs[GATED].astype(str).replace({"T_CD4": "T", "T_CD8": "T"})
    return adata


def half(adata: ad.AnnData, seed: int) -> ad.AnnData:
    """Return the cells with a half of their genes, by chance."""
    return adata[:, np.random.default_rng(seed).random(adata.n_vars) < 0.5].copy()


def annotated(query: ad.AnnData, **options: object) -> float | None:
    """Return the accuracy of a call; ``None`` where the query is refused."""
    try:
        done = tl.annotate(query, copy=True, **options)
    except UserError:
        return None
    return float(accuracy_score(query.obs[TYPE].astype(str), done.obs[keys.CELL_TYPE].astype(str)))


def checkpoint_rows(fit: str, cells: int, seed: int) -> Iterator[str]:
    """Train once on Kang, and anew for each query: a line of the table a query and fit."""
    yield "| fit | query | genes | trained once | trained anew | difference |"
    yield "|---|---|---|---|---|---|"
    reference = read("kang", cells, seed)
    with tempfile.TemporaryDirectory() as folder:
        saved = f"{folder}/model"
        once = {"label_key": TYPE, "params": FITS[fit]}
        tl.annotate(reference, reference, copy=True, save=saved, **once)
        for name in ("mudan", "zheng", "cite"):
            whole = read(name, cells, seed)
            for genes, query in (("all", whole), ("half", half(whole, seed))):
                known = reference.var_names.isin(query.var_names)
                anew = annotated(query, reference=reference[:, known].copy(), **once)
                reused = annotated(query, checkpoint=saved)
                scores = [shown(reused), shown(anew)]
                both = None not in (reused, anew)
                scores.append(f"{reused - anew:+.3f}" if both else "–")
                yield f"| {fit} | {name} | {genes} | {' | '.join(scores)} |"


def shown(score: float | None) -> str:
    """Return a score as it is shown."""
    return "refused" if score is None else f"{score:.3f}"


def index_rows(cells: int, seed: int) -> Iterator[str]:
    """Map every study onto an index of three of them: a line a pair."""
    yield (
        "| index | query | accuracy | of the assigned | unassigned | median distance | limit | "
        "AUROC against blood |"
    )
    yield "|---|---|---|---|---|---|---|---|"
    # The mapping reads the sums of genes alone: the layers need not run for it.
    params = EmbeddingParams(options=EmbeddingOptions(pooling=("pooled",)))
    encoder = load_encoder(params.options)
    with tempfile.TemporaryDirectory() as folder:
        embedded = {}
        for name in (*BLOOD, *OTHERS):
            adata = read(name, cells, seed)
            several = "batch" if adata.obs["batch"].nunique() > 1 else None
            embedded[name] = encode_file(
                encoder,
                SourceParams.model_construct(input=adata, blocks=f"{folder}/{name}"),
                IngestionParams(),
                ValidationParams(),
                KeyParams(label_key=TYPE if name in BLOOD else "cell_type", batch_key=several),
                params.options,
                ComputeOptions(),
            )
        for name in list(BLOOD)[:3]:
            parts = encoder, KeyParams(label_key=TYPE), params.options, params.mapping
            yield from mapped_rows(name, make_index(embedded[name], *parts), embedded, params)


def mapped_rows(
    name: str, index: ReferenceIndex, embedded: dict, params: EmbeddingParams
) -> Iterator[str]:
    """Map the other studies onto one index."""
    found = {q: map_cells(embedded[q], index, params.mapping) for q in embedded if q != name}
    blood = np.concatenate([calls[keys.DISTANCE] for q, calls in found.items() if q in BLOOD])
    for query, calls in found.items():
        distance, accuracy, auroc = calls[keys.DISTANCE].to_numpy(), "– | –", "–"
        if query in BLOOD:
            truth = embedded[query].obs["label"].astype(str)
            right = truth.to_numpy() == calls[keys.CELL_TYPE].astype(str).to_numpy()
            assigned = ~calls[keys.UNASSIGNED].to_numpy()
            accuracy = f"{right.mean():.3f} | {right[assigned].mean():.3f}"
        else:
            other = np.repeat([0, 1], [len(blood), len(distance)])
            auroc = f"{roc_auc_score(other, np.concatenate([blood, distance])):.3f}"
        numbers = f"{calls[keys.UNASSIGNED].mean():.3f} | {np.median(distance):.3f}"
        yield f"| {name} | {query} | {accuracy} | {numbers} | {calls.attrs['limit']:.3f} | {auroc} |"


def main() -> None:
    """Run the parts asked for; each table is written and printed as it grows."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--parts", nargs="+", choices=list(CELLS), default=list(CELLS))
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    warnings.filterwarnings("ignore")
    for part in chosen.parts:
        started, lines, cells = time.perf_counter(), [], CELLS[part]
        own = (cells, chosen.seed)
        for line in index_rows(*own) if part == "index" else checkpoint_rows(part, *own):
            lines.append(line)
            print(line, flush=True)
        text = f"{cells} cells a study, seed {chosen.seed}\n\n" + "\n".join(lines) + "\n"
        (RESULTS / f"reuse_{part}.md").write_text(text)
        print(f"{time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
