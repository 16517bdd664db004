"""How much memory and time RNA + ATAC of many simulated cells take: cells, start, 50 steps of training.

    python benchmarks/multiomics_memory.py [--cells 10000] [--genes 20000] [--peaks 100000] [--steps 50]

The cells are simulated (`sc_mamba2.cells.simulate_pairs`): only their size means anything. All of them are
tokenised and the model starts from all training cells; the steps are the pipeline's own training of a new
`micro` backbone with both paths, on as many cells as they take. Writes `results/multiomics_memory.json`.
"""

import argparse
import json
import resource
import time
from pathlib import Path

import numpy as np
from machine import describe_machine

from sc_mamba2.cells.simulate_pairs import simulate_rna_atac
from sc_mamba2.tasks.multiomics import params
from sc_mamba2.tasks.multiomics.cells import standardise_modalities
from sc_mamba2.tasks.multiomics.fit import prepare
from sc_mamba2.tasks.shared import backbone
from sc_mamba2.tasks.shared.params import IngestionParams, TokenizationParams, ValidationParams
from sc_mamba2.training import ComputeOptions

RESULT = Path(__file__).parent / "results" / "multiomics_memory.json"
GENES_A_CELL, PEAKS_A_CELL = 2000, 5000


class Watch:
    """Seconds of each part, and the most memory that the process has had by its end."""

    def __init__(self) -> None:
        self.parts: dict[str, dict[str, float]] = {}
        self.last = time.perf_counter()

    def note(self, part: str) -> None:
        """Close a part."""
        now = time.perf_counter()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        self.parts[part] = {"seconds": round(now - self.last, 1), "peak_gib": round(peak, 2)}
        print(part, self.parts[part], flush=True)
        self.last = now


def measure(cells: int, genes: int, peaks: int, steps: int, batch_size: int) -> dict:
    """Run the parts one after the other."""
    watch, compute = Watch(), ComputeOptions()
    raw = simulate_rna_atac(cells, genes, peaks, GENES_A_CELL, PEAKS_A_CELL)
    watch.note("simulation")
    features = params.FeatureParams()
    joint, _ = standardise_modalities(raw, features, IngestionParams(), ValidationParams())
    del raw
    watch.note("cells")
    model, tokens, training, validation, _ = prepare(
        joint,
        params.KeyParams(),
        TokenizationParams(variable_genes=None),
        params.JointBackboneParams(checkpoint=None),
        features,
        params.HeadParams(paths=("trunk", "pooled")),
        params.LossParams(),
        compute,
    )
    lengths = tokens.lengths
    del joint, tokens
    watch.note("start")
    fitting = params.JointFitParams(max_epochs=1, batch_size=batch_size, keep_start=False)
    some = training.take(np.arange(steps * batch_size))
    backbone.fine_tune(model, some, validation.take(np.arange(batch_size)), fitting, compute)
    watch.note("training")
    return {
        "cells": cells,
        "genes": genes,
        "peaks": peaks,
        "tokens_a_cell": {"mean": float(lengths.mean()), "most": int(lengths.max())},
        "vocabulary": model.tokenizer.vocabulary.size,
        "parameters": sum(weight.numel() for weight in model.parameters()),
        "steps": steps,
        "cells_a_step": batch_size,
        "parts": watch.parts,
    }


def main() -> None:
    """Measure, and keep what was measured with the machine."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    for name, value in {"cells": 10000, "genes": 20000, "peaks": 100000, "steps": 50}.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--batch-size", type=int, default=4)
    chosen = parser.parse_args()
    found = measure(chosen.cells, chosen.genes, chosen.peaks, chosen.steps, chosen.batch_size)
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(found | {"machine": describe_machine()}, indent=1) + "\n")


if __name__ == "__main__":
    main()
