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

from sc_mamba2.runs.logs import set_logging
from sc_mamba2.runs.selection import Selection
from sc_mamba2.runs.session import run_in_folder

CORPUS = Path(__file__).parents[2] / "shared" / "data" / "pretrain_corpus_human.h5ad"
STEPS = 1700


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


def main() -> None:
    """Train or write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("what", choices=["train"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--hold-out", nargs="+", default=["pbmc_cite_5k10k"])
    parser.add_argument("--gene-start", default="svd")
    parser.add_argument("--steps", type=int, default=STEPS)
    chosen = parser.parse_args()
    set_logging(verbose=False)
    train(chosen.folder, chosen.hold_out, chosen.gene_start, chosen.steps)


if __name__ == "__main__":
    main()
