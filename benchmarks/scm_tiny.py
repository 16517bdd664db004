"""How the shipped checkpoint `scm-tiny` is made, and its sisters that a figure needs.

    python benchmarks/scm_tiny.py train FOLDER [--hold-out STUDY ...] [--gene-start random]
    python benchmarks/scm_tiny.py write FOLDER OUTPUT

`train` is one run of the project's own pipeline `pretraining` with the recipe below; killed, the same
command goes on. `write` stores its final model in half the room, with a model card that holds the
curve. The corpus is read from `../shared/data`; one thread, so that a run has one result.
"""

import argparse
from pathlib import Path
from typing import Any

import pandas as pd

from sc_mamba2.runs.logs import set_logging
from sc_mamba2.runs.selection import Selection
from sc_mamba2.runs.session import run_in_folder

CORPUS = Path(__file__).parents[2] / "shared" / "data" / "pretrain_corpus_human.h5ad"
STEPS = 1700
LIMITS = """## Data

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


def recipe(held_out: list[str], gene_start: str, steps: int) -> dict[str, Any]:
    """Return the parameters that differ from conf/base."""
    return {
        "compute": {"seed": 0},
        "pretraining": {
            "corpus": {"sources": [str(CORPUS)]},
            "shape": {"preset": "tiny", "gene_start": gene_start},
            "masks": {"min_ratio": 0.1, "max_ratio": 0.3, "left_out": 0.8, "zero_share": 0.0},
            "training": {
                "steps": steps,
                "batch_size": 16,
                "learning_rate": 0.0015,
                "average_decay": 0.99,
            },
            "held_out": {"values": held_out},
            "keep": {"judge_every": 100, "judge_cells": 256, "checkpoint_every": 100},
        },
    }


def train(folder: Path, held_out: list[str], gene_start: str, steps: int) -> None:
    """Run the pipeline in a folder, or go on with it."""
    import torch

    torch.set_num_threads(1)
    params = recipe(held_out, gene_start, steps)
    params["pretraining"]["corpus"]["store"] = str(folder.resolve() / "store")
    params["pretraining"]["launch"] = {"run": str(folder.resolve() / "run")}
    folder.mkdir(parents=True, exist_ok=True)
    run_in_folder(Selection(pipelines=("pretraining",), params=params), folder)


def write(folder: Path, output: Path) -> None:
    """Store the final model of a run as a checkpoint in half the room, with its card."""
    from sc_mamba2 import from_pretrained

    model = from_pretrained(folder / "run" / "model")
    history = pd.read_json(folder / "run" / "journal.jsonl", lines=True)
    card = model.model_card() + "\n" + LIMITS + "\n" + curve(history)
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


def main() -> None:
    """Train or write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("what", choices=["train", "write"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("output", type=Path, nargs="?", help="of write: the checkpoint folder")
    parser.add_argument("--hold-out", nargs="+", default=["pbmc_cite_5k10k"])
    parser.add_argument("--gene-start", default="svd")
    parser.add_argument("--steps", type=int, default=STEPS)
    chosen = parser.parse_args()
    set_logging(verbose=False)
    if chosen.what == "write":
        write(chosen.folder, chosen.output)
    else:
        train(chosen.folder, chosen.hold_out, chosen.gene_start, chosen.steps)


if __name__ == "__main__":
    main()
