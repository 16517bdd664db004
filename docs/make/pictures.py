"""Makes the pictures of the task pages again, by the commands that the pages show.

`python docs/make/pictures.py [PIPELINE ...]`, minutes on a core. Cells of `../shared/data` lie beside the project
and are not part of it; where they are absent, the picture is left as it is. The curves
of pretraining and the bars of gene networks are those of the benchmarks.
"""

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

from sc_mamba2.reporting.style import new_figure

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"
IMAGES = Path(__file__).parents[1] / "images"
DATA = Path(__file__).parents[3] / "shared" / "data"
_RECORDS = 20  # records of a journal, ten steps each, in a running mean
# Of each pipeline: cells, the verb with its options, its output; the name of a picture for a figure's.
PICTURES: dict[str, tuple[str, str, str, dict[str, str]]] = {
    "embedding": (
        "scanpy:pbmc68k_reduced",
        "embed CELLS --label-key bulk_labels --batch-key phase",
        "out.h5ad",
        {"embedding": "umap"},
    ),
    "batch_correction": (
        "kang_ifnb_pbmc.h5ad",
        "integrate CELLS --batch-key condition --label-key cell_type",
        "out.h5ad",
        {"batch_correction_batches": "by_batch", "batch_correction_types": "by_type"},
    ),
    "denoising": (
        "kang_ifnb_pbmc.h5ad",
        "denoise CELLS",
        "out.h5ad",
        {"denoising": "nats", "denoising_calibration": "calibration"},
    ),
    "perturbation": (
        "papalexi_partA.h5ad",
        "perturb CELLS --perturbation IFNGR1",
        "out.h5ad",
        {"perturbation": "volcano", "perturbation_held_out": "held_out"},
    ),
}


def draw_curve() -> None:
    """Draw the curves of the trainings of `scm-counts` that the benchmark has collected."""
    curves = json.loads((RESULTS / "pretrained.json").read_text("utf-8"))["curves"]
    figure, axes = new_figure(columns=2, width=4.2, height=3.2)
    styles = {"trunk": ("tab:orange", "with Mamba2 layers"), "bag": ("tab:blue", "bag, without")}
    for kind, (colour, label) in styles.items():
        for seed, run in enumerate(curves[kind]):
            named = {"color": colour, "label": label if seed == 0 else None}
            training = pd.DataFrame(run["training"], columns=["step", "loss"])
            axes[0].plot(training["step"], training["loss"].rolling(_RECORDS).mean(), **named)
            axes[1].plot(*zip(*run["held_out"], strict=True), marker="o", **named)
    steps, levels = zip(*curves["trunk"][0]["gene_means"], strict=True)
    axes[1].plot(steps, levels, color="grey", linestyle="--", label="the study's gene means")
    axes[0].set(xlabel="step", ylabel="training cells, running mean:\nnats per held-out molecule")
    axes[1].set(xlabel="step", ylabel="held-out studies:\nnats per held-out molecule")
    axes[1].legend()
    figure.savefig(IMAGES / "pretraining.png", dpi=130, metadata={"Software": None})


def draw_networks() -> None:
    """Draw what the benchmark of gene networks has measured, over the order of chance."""
    table = (RESULTS / "gene_network_kang_ifnb_pbmc.md").read_text("utf-8")
    rows = re.findall(r"^\| ([^|]+) \| ([\d.]+) ± ([\d.]+) \|", table, re.MULTILINE)
    rows = sorted(rows, key=lambda row: float(row[1]))
    figure, (axis,) = new_figure(width=7.0, height=3.6)
    kinds = {"untrained": "tab:grey", "model": "tab:orange", "view": "tab:orange"}
    colours = [next((kinds[kind] for kind in kinds if kind in row[0]), "tab:blue") for row in rows]
    means, spreads = ([float(row[column]) for row in rows] for column in (1, 2))
    axis.barh([name for name, *_ in rows], means, xerr=spreads, color=colours)
    axis.axvline(1.0, color="grey", linestyle="--")
    axis.set(xlabel="area under precision and recall, over that of chance (dashed)")
    figure.savefig(IMAGES / "gene_network.png", dpi=130, metadata={"Software": None})


DRAWN = {"pretraining": draw_curve, "gene_network": draw_networks}


def main(names: list[str]) -> None:
    """Run the command of each pipeline and keep its figures."""
    for name in names or [*PICTURES, *DRAWN]:
        if name in DRAWN:
            DRAWN[name]()
            continue
        source, command, output, figures = PICTURES[name]
        cells = source if ":" in source else str(DATA / source)
        if ":" not in source and not Path(cells).is_file():
            continue
        with TemporaryDirectory() as folder:
            out = Path(folder) / output
            words = [cells if word == "CELLS" else word for word in shlex.split(command)]
            words = [sys.executable, "-m", "sc_mamba2", *words, "--output", str(out)]
            subprocess.run(words, check=True)
            for picture, figure in figures.items():
                (made,) = (out.with_suffix(".scm") / "figures").glob(f"*_{figure}.png")
                shutil.copy(made, IMAGES / f"{picture}.png")


if __name__ == "__main__":
    main(sys.argv[1:])
