"""How the shipped checkpoints are made, and their sisters that a figure needs.

    python benchmarks/checkpoints.py train scm-counts FOLDER [--layers 0] [--sorted] [--steps 600] [--seed 1]
    python benchmarks/checkpoints.py train scm-tiny FOLDER [--hold-out STUDY ...] [--gene-start random]
    python benchmarks/checkpoints.py write scm-counts FOLDER OUTPUT

`train` is one run of the project's own pipeline `pretraining` with the recipe below; killed, the same
command goes on. `write` stores its final model in half the room, with a model card that holds the
curve. The corpus is read from `../shared/data`; one thread, so that a run has one result.

scm-counts predicts molecules that were left out, and types; scm-tiny masked bins.
"""

import argparse
from pathlib import Path
from typing import Any

import pandas as pd

from sc_mamba2.runs.logs import set_logging
from sc_mamba2.runs.selection import Selection
from sc_mamba2.runs.session import run_in_folder

DATA = Path(__file__).parents[2] / "shared" / "data"
CORPUS = DATA / "pretrain_corpus_human.h5ad"
# Whole studies that scm-counts never sees, each with what shares its cells.
JUDGES = ("kang_ifnb_pbmc", "pancreas_panc8_1000x1000", "malt_cite_rna")
STUDIES = (
    "a549_scicar_rna",
    "bmmc_cite_rna",
    "breast_tnbc_copykat302",
    "celltypist_sample_unlabelled",
    "gbm_panobinostat_300",
    "hcl_fetal_thymus2",
    "ipsc_timecourse_315",
    "mudan_sorted_pbmc_reference",
    "norman19_k562_crispra",
    "onek1k_40donors_1000genes",
    "papalexi_partA",
    "pbmc_cite_5k10k_rna",
    "pbmc_donorA_10x",
    "pbmc_hao_1000",
    "pbmc_hao_tcells_600",
    "pbmc_pisces_1000",
    "pollen_299",
    "sc_mixology_celllines",
    "zheng_facs_pbmc",
)
BINS_LIMITS = """## Data

15,345 human cells of eight public studies, raw counts, seven of them trained on: PBMC sorted by FACS
(Zheng 2017, twice), PBMC of a frozen 10x donor, PBMC with and without interferon (Kang 2018, twice),
lung cancer lines (sc_mixology, Tian 2019), CellTypist's sample; held out: 400 cells of 10x's PBMC with
proteins. The files are not part of this project; the weights are. Vocabulary: the genes of GENCODE v44
that a training cell expresses.

## Limits

- Small: minutes of training on one core, mostly blood. It is there so that every command has a model to
  start from, and so that tests and tutorials run on real weights. Do not draw biology from it.
- It knows human genes that these studies measured; other genes are left out.
- It has seen the cells of Zheng 2017 and Kang 2018: it is no judge of anything tested on them.
  `scanpy:pbmc68k_reduced` are other cells, perhaps of a donor that it knows.
- Genes that a cell has beyond 1,200 were never seen at once in training; longer cells are computed all
  the same.
"""


COUNTS_LIMITS = """## Data

54,000 human cells of nineteen public studies, counts of molecules (in one study, of reads): PBMC sorted by
FACS (Zheng 2017, twice), PBMC of 10x, Hao 2021 and OneK1K, bone marrow (NeurIPS 2021), foetal thymus,
tumours and cell lines with and without perturbations. Six of the studies have cell types, matched with the
Cell Ontology. Held out entirely: Kang 2018, a pancreas of five studies, a MALT lymphoma. The files are not
part of this project; the weights are. Vocabulary: the genes of GENCODE v44 expressed in at least ten
training cells.

## Limits

- Small: an hour of training on one core, mostly blood. It gives every command a model to start from, and
  tests and tutorials real weights.
- It knows the human genes that these studies measured; other genes are dropped.
- Do not evaluate it on the studies above. Kang, the pancreas and MALT were held out for that.
- It reads counts. For normalised values they are estimated, taking a cell's smallest value as one count.
"""


def recipe(name: str, chosen: argparse.Namespace) -> dict[str, Any]:
    """Return the parameters that differ from conf/base."""
    made = counts_recipe(chosen) if name == "scm-counts" else bins_recipe(chosen)
    return {"compute": {"seed": chosen.seed}, "pretraining": made}


def bins_recipe(chosen: argparse.Namespace) -> dict[str, Any]:
    """Return those of scm-tiny: masked bins of eight studies."""
    return {
        "corpus": {"sources": [str(CORPUS)]},
        "shape": {"preset": "tiny", "gene_start": chosen.gene_start},
        "masks": {"min_ratio": 0.1, "max_ratio": 0.3, "left_out": 0.8, "zero_share": 0.0},
        "training": {
            "steps": chosen.steps or 1700,
            "batch_size": 16,
            "learning_rate": 0.0015,
            "average_decay": 0.99,
        },
        "held_out": {"values": chosen.hold_out or ["pbmc_cite_5k10k"]},
        "keep": {"judge_every": 100, "judge_cells": 256, "checkpoint_every": 100},
    }


def counts_recipe(chosen: argparse.Namespace) -> dict[str, Any]:
    """Return those of scm-counts: molecules left out, and types; a study by the root of its cells."""
    return {
        "corpus": {
            "sources": [str(DATA / f"{study}.h5ad") for study in (*STUDIES, *JUDGES)],
            "label_columns": ["cell_type", "cell_type_protein_gated"],
            "filters": {"minimum_genes": 10, "primary_only": False, "minimum_matched_share": 0.1},
            "bins": "counts",
            "n_bins": 4096,
            "max_length": 8192,
        },
        "shape": {
            "preset": "micro" if chosen.layers else "bag",
            "start_scale": 0.5,
            "gene_cells": 10,
        },
        "thinning": {"read_tokens": 96, "max_share": 0.9},
        "molecules": {"types": chosen.types},
        "sampling": {
            "block": 8 if chosen.sorted else 1,
            "window": 100 if chosen.sorted else 1,
            "column": "source",
            "power": 0.5,
        },
        "training": {
            "objective": "molecules",
            "steps": chosen.steps or 1500,
            "batch_size": 96,
            "micro_batch_size": 96,
            "learning_rate": 0.002,
            "final_rate_share": 0.02,
        },
        "held_out": {"column": "source", "values": [f"{study}.h5ad" for study in JUDGES]},
        "keep": {"judge_every": 300, "judge_cells": 900, "checkpoint_every": 50},
    }


def train(name: str, folder: Path, chosen: argparse.Namespace) -> None:
    """Run the pipeline in a folder, or go on with it."""
    import torch

    torch.set_num_threads(1)
    params = recipe(name, chosen)
    store = chosen.store or folder / "store"
    params["pretraining"]["corpus"]["store"] = str(store.resolve())
    params["pretraining"]["launch"] = {"run": str(folder.resolve() / "run")}
    folder.mkdir(parents=True, exist_ok=True)
    run_in_folder(Selection(pipelines=("pretraining",), params=params), folder)


def write(name: str, folder: Path, output: Path) -> None:
    """Store the final model of a run as a checkpoint in half the room, with its card."""
    from sc_mamba2 import from_pretrained

    model = from_pretrained(folder / "run" / "model")
    history = pd.read_json(folder / "run" / "journal.jsonl", lines=True)
    limits, told = (COUNTS_LIMITS, nats) if name == "scm-counts" else (BINS_LIMITS, curve)
    card = model.model_card() + "\n" + limits + "\n" + told(history)
    model.save_pretrained(output, card=card, half=True)


def curve(history: pd.DataFrame) -> str:
    """Return the held-out error over the steps as a Markdown table."""
    rows = history.dropna(subset=["held_out/loss"]).groupby("step").last().reset_index()
    wanted = rows[(rows["step"] % 300 == 0) | (rows["step"] == rows["step"].max())]
    lines = [
        "## Held-out cells",
        "",
        "Mean squared error of masked bins, in bins squared; from the cell: told from the cell "
        "embedding alone.",
        "",
        "| step | objective | from the token | from the cell | a gene's mean |",
        "|---|---|---|---|---|",
    ]
    for _, row in wanted.iterrows():
        errors = " | ".join(
            f"{row[f'held_out/{name}']:.2f}" for name in ("model", "cell", "gene_mean")
        )
        lines.append(f"| {row['step']:.0f} | {row['held_out/loss']:.4f} | {errors} |")
    last = rows.iloc[-1]
    for name, told in (("model", "the token"), ("cell", "the cell")):
        better = last[f"held_out/{name}"] < last["held_out/gene_mean"]
        lines.append(
            f"\nTold from {told}, the last error is {'below' if better else 'NOT below'} the mean's."
        )
    pace = history["clock/tokens_a_second"].dropna().iloc[-1]
    return "\n".join(lines) + f"\n\nTrained at {pace:,.0f} tokens a second on one busy core.\n"


def nats(history: pd.DataFrame) -> str:
    """Return the nats a molecule of the studies left out over the steps as a Markdown table."""
    rows = history.dropna(subset=["held_out/loss"]).groupby("step").last().reset_index()
    kinds = ("plain", "posterior", "own_plain", "own_posterior", "means_plain", "means_posterior")
    lines = [
        "## Held-out molecules of held-out studies",
        "",
        "Nats per held-out molecule, mean over the studies; half of a cell's molecules are kept. The model; the "
        "model shifted to the study's own gene means; these means alone. Each without and with the posterior, "
        "given the kept molecules.",
        "",
        "| step | model | posterior | shifted | posterior | gene means | posterior |",
        "|---|---|---|---|---|---|---|",
    ]
    for _, row in rows.iterrows():
        told = " | ".join(f"{row[f'held_out/{kind}']:.4f}" for kind in kinds)
        lines.append(f"| {row['step']:.0f} | {told} |")
    last = rows.iloc[-1]
    lines += [
        "",
        "The last row by study:",
        "",
        "| study | shifted, posterior | gene means, posterior |",
        "|---|---|---|",
    ]
    for study in JUDGES:
        told = [
            last[f"held_out/{kind}/{study}.h5ad"] for kind in ("own_posterior", "means_posterior")
        ]
        lines.append(f"| {study} | {told[0]:.4f} | {told[1]:.4f} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Train or write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("what", choices=["train", "write"])
    parser.add_argument("name", choices=["scm-counts", "scm-tiny"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("output", type=Path, nargs="?", help="of write: the checkpoint folder")
    parser.add_argument("--hold-out", nargs="+", help="of scm-tiny: studies of its corpus")
    parser.add_argument("--gene-start", default="svd", help="of scm-tiny")
    parser.add_argument("--layers", type=int, choices=[0, 2], default=2, help="of scm-counts")
    parser.add_argument(
        "--types", type=float, default=0.5, help="of scm-counts: weight of the types"
    )
    parser.add_argument(
        "--sorted",
        action="store_true",
        help="of scm-counts, as it was first trained: batches of neighbouring cells, sorted by length",
    )
    parser.add_argument("--store", type=Path, help="a store of the corpus that may be shared")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    set_logging(verbose=False)
    if chosen.what == "write":
        write(chosen.name, chosen.folder, chosen.output)
    else:
        train(chosen.name, chosen.folder, chosen)


if __name__ == "__main__":
    main()
