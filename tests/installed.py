"""The README's verbs with an installed wheel, in an empty folder: `python -I tests/installed.py README.md FOLDER`.

`make wheel-test` runs it with the interpreter of an environment that holds the wheel and nothing else, so it
imports no test tool. The lines are those of the README; only the cells are made up.
"""

import os
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path

QUICK = ("annotation", "embedding")  # pipelines of the new project that are run on simulated cells
SKIPPED = {"explore", "viz"}  # serve until they are stopped


def main(readme: Path, folder: Path) -> None:
    """Write cells into a folder that must be empty, and run every line there."""
    folder.mkdir(parents=True)
    os.chdir(folder)
    environ = os.environ | {"KEDRO_DISABLE_TELEMETRY": "1", "PATH": _path()}
    _write_cells()
    lines = _lines(readme.read_text("utf-8"))
    assert len(lines) > 12, lines
    for words in [["doctor"], ["model", "list"], ["data", "list"], *lines]:
        output = words[words.index("--output") + 1] if "--output" in words else ""
        _run([*words, *(["--force"] if output and Path(output).exists() else [])], environ)
        assert not output or Path(output).exists(), f"{output} was not written"
    _run(["init", "project"], environ)
    os.chdir("project")
    for pipeline in QUICK:
        _run(["run", "--pipeline", pipeline, "--env", "test"], environ)
    _run(["runs"], environ)


def _path() -> str:
    """Return a path whose first folder is that of this interpreter's `scm`."""
    return os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])


def _lines(text: str) -> list[list[str]]:
    """Return the words behind `scm` in the block of one's own cells."""
    block = re.search(r"## Your own cells.*?```sh\n(.*?)```", text, re.DOTALL)[1]
    lines = [shlex.split(line, comments=True) for line in block.splitlines()]
    return [words[1:] for words in lines if words and words[0] == "scm" and words[1] not in SKIPPED]


def _run(words: list[str], environ: dict[str, str]) -> None:
    began = time.monotonic()
    result = subprocess.run(
        ["scm", *words], env=environ, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    line = f"{time.monotonic() - began:6.1f} s  {result.returncode}  scm {shlex.join(words)}"
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
    if result.returncode:
        sys.exit(result.stdout + result.stderr)


def _write_cells() -> None:
    """Write the files that the README names: real blood cells, and simulated ones where it needs more."""
    import numpy as np
    import scanpy as sc

    import sc_mamba2
    from sc_mamba2.cells import simulate_perturbed
    from sc_mamba2.cells.simulate_pairs import simulate_rna_protein

    assert sys.prefix in sc_mamba2.__file__, f"not the installed package: {sc_mamba2.__file__}"
    blood = sc.datasets.pbmc68k_reduced().raw.to_adata()
    blood.obs["cell_type"] = blood.obs["bulk_labels"]
    place = np.arange(blood.n_obs) % 3
    for name, at in {"REF": 0, "QUERY": 1, "MORE": 2}.items():
        blood[place == at].write_h5ad(f"{name}.h5ad")
    cells = simulate_perturbed(cells=40, genes=150)
    states = [name for name in cells.obs["perturbation"].cat.categories if name != "control"]
    cells.obs["perturbation"] = cells.obs["perturbation"].cat.rename_categories(
        {states[0]: "STAT1", states[1]: "STATE"}
    )
    cells.obs["donor"] = cells.obs["batch"]
    cells.write_h5ad("CELLS.h5ad")
    pair = simulate_rna_protein()
    pair["rna"].write_h5ad("RNA.h5ad")
    pair["protein"].write_h5ad("PROTEIN.h5ad")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve())
