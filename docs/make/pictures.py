"""Makes the pictures of the task pages again, by the commands that the pages show.

`python docs/make/pictures.py [NAME ...]`, minutes on a core. Cells of `../shared/data` lie beside the project and
are not part of it; a picture whose cells are absent is left as it is.
"""

import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

DOCS = Path(__file__).parents[1]
DATA = DOCS.parents[1] / "shared" / "data"
# Picture: cells, the verb with its options, the figure in the folder beside the output, its output.
PICTURES = {
    "embedding": (
        "scanpy:pbmc68k_reduced",
        "embed {cells} --label-key bulk_labels --batch-key phase --output {out}",
        "umap.png",
        "out.h5ad",
    ),
    "batch_correction": (
        "kang_ifnb_pbmc.h5ad",
        "integrate {cells} --batch-key condition --label-key cell_type --no-ablations --output {out}",
        "umap.png",
        "out.h5ad",
    ),
    "perturbation": (
        "papalexi_partA.h5ad",
        "perturb {cells} --perturbation STAT1 --no-ablations --output {out}",
        "volcano.png",
        "out.h5ad",
    ),
    "gene_network": (
        "kang_ifnb_pbmc.h5ad",
        "network {cells} --output {out}",
        "network.png",
        "out.csv",
    ),
}


def main(names: list[str]) -> None:
    """Run the command of each picture and keep its figure."""
    for name in names or PICTURES:
        source, command, figure, output = PICTURES[name]
        cells = source if ":" in source else str(DATA / source)
        if ":" not in source and not Path(cells).is_file():
            continue
        with TemporaryDirectory() as folder:
            out = Path(folder) / output
            words = shlex.split(command.format(cells=shlex.quote(cells), out=shlex.quote(str(out))))
            subprocess.run([sys.executable, "-m", "sc_mamba2", *words], check=True)
            shutil.copy(
                out.with_suffix(".scm") / "figures" / figure, DOCS / "images" / f"{name}.png"
            )


if __name__ == "__main__":
    main(sys.argv[1:])
