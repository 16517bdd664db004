"""What each part of the pretraining objective and of its start is worth, in minutes of training.

    python benchmarks/pretraining_parts.py [--steps 300] [--only NAME ...]

A `micro` model on the corpus without Kang 2018, each row with one thing more than the row above it (the
last with one thing other); then logistic regression on the frozen state at `<cls>` of Kang's cells, 5
and 20 labels a type, 3 draws. One training each: differences of a few hundredths mean nothing.
Writes `results/pretraining_parts.json` and `.md`.
"""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from few_labels import RESULTS, SHARED, embed, read, score
from machine import describe_machine

from checkpoints import CORPUS
from sc_mamba2 import from_pretrained
from sc_mamba2.tasks.pretraining.corpus import make_corpus
from sc_mamba2.tasks.pretraining.params import CorpusParams
from sc_mamba2.training.job import KeepOptions, PretrainJob, PretrainOptions
from sc_mamba2.training.journal import read_journal
from sc_mamba2.training.run import JOURNAL, pretrain

OUT = {"min_ratio": 0.1, "max_ratio": 0.3, "left_out": 0.8, "zero_share": 0.0}
PARTS: dict[str, dict[str, dict[str, Any]]] = {
    "bins and zeros alone": {
        "objective": {"cell_genes": 0.0},
        "masks": {"left_out": 0.0},
        "shape": {"cell_start": "token"},
    },
    "and genes that are left out": {"masks": OUT, "shape": {"cell_start": "token"}},
    "and `<cls>` starts as the sum of its genes": {"masks": OUT},
    "the same, genes started by chance, not SVD": {"masks": OUT, "shape": {"gene_start": "random"}},
}


def train(name: str, store: Path, run: Path, steps: int) -> Path:
    """Train one model; return its run folder."""
    groups = PARTS[name]
    job = PretrainJob.build(
        store=store,
        run=run,
        shape={"preset": "micro"} | groups.get("shape", {}),
        masks=groups.get("masks", {}),
        objective=groups.get("objective", {}),
        training=PretrainOptions(
            steps=steps, batch_size=32, learning_rate=2e-3, average_decay=0.99
        ),
        held_out={"values": ("kang2018_a", "kang2018_b")},
        keep=KeepOptions(judge_every=steps, judge_cells=256, checkpoint_every=steps),
    )
    pretrain(job)
    return run


def judge(run: Path) -> dict[str, Any]:
    """Score the frozen states of Kang's cells, and tell the held-out loss."""
    matrix, ids, labels = read("kang_ifnb_pbmc", "cell_type")
    states = embed(from_pretrained(run / "model"), matrix, ids)["trunk"]
    history = read_journal(run / JOURNAL)
    found: dict[str, Any] = {"held_out_loss": float(history["held_out/loss"].dropna().iloc[-1])}
    for count in (5, 20):
        runs = [score([states], [1.0], labels, count, seed)["accuracy"] for seed in range(3)]
        found[str(count)] = runs
    return found


def main() -> None:
    """Train and judge every row."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--only", nargs="+", choices=list(PARTS), default=list(PARTS))
    chosen = parser.parse_args()
    if not SHARED.is_dir():
        print(f"skipped: no folder {SHARED.name} beside the project")
        return
    torch.set_num_threads(1)
    path = RESULTS / "pretraining_parts.json"
    rows = json.loads(path.read_text())["rows"] if path.is_file() else {}
    with tempfile.TemporaryDirectory() as place:
        store = Path(place) / "store"
        make_corpus(
            CorpusParams.model_validate(
                {"sources": (str(CORPUS),), "store": str(store), "max_length": 600}
            )
        )
        for number, name in enumerate(chosen.only):
            row = judge(train(name, store, Path(place) / str(number), chosen.steps))
            rows[name] = row | {"steps": chosen.steps}
            print(name, rows[name], flush=True)
    record = {"machine": describe_machine(), "rows": rows}
    path.write_text(json.dumps(record, indent=1) + "\n")
    lines = ["| objective and start | 5 labels | 20 labels |", "|---|---|---|"]
    for name in (name for name in PARTS if name in rows):
        means = [f"{np.mean(rows[name][count]):.2f}" for count in ("5", "20")]
        lines.append(f"| {name} | {' | '.join(means)} |")
    path.with_suffix(".md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
