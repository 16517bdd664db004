"""Do all tasks still give what they gave? Record their results on one tree, compare on another.

    python benchmarks/same_results.py record FOLDER           # of this tree, or of the tree on PYTHONPATH
    python benchmarks/same_results.py compare OLD NEW

Simulated and embedded cells, fixed seeds, one thread, a process a command. Stored are the metrics, a
hash of every array of ours in the cells that were written, of every column of tables, of every weight
of checkpoints, the keys, and the names of all files.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

SHORT_ANNOTATION = (
    "annotation.head.fit=gradient,annotation.fine_tune.max_epochs=2,"
    "annotation.baselines.regularisation=[1.0]"
)
SHORT_PERTURBATION = (
    "perturbation.fine_tune.max_epochs=1,perturbation.head.pairs=4,"
    "perturbation.population.ensemble=3,perturbation.evaluation.ceiling_repeats=2"
)
SHORT_MULTIOMICS = (
    "multiomics.fine_tune.max_epochs=1,multiomics.head.components=4,"
    "multiomics.imputation.folds=3,multiomics.imputation.curvatures=[0.4]"
)
SHORT_NETWORK = (
    "gene_network.genes.most_regulators=4,gene_network.genes.targets=25,"
    "gene_network.scoring.cells=20,gene_network.scoring.cells_a_regulator=4,"
    "gene_network.network.drawn=30"
)
SHORT_CORRECTION = "batch_correction.fine_tune.max_epochs=2,batch_correction.head.width=8"
SHORT_PRETRAINING = (
    "pretraining.training.steps=4,pretraining.training.batch_size=16,"
    "pretraining.training.micro_batch_size=8,pretraining.corpus.max_length=80"
)

# Output, then the words; those of the second round read what the first wrote.
FIRST = {
    "annotation_held_out.h5ad": f"annotate -r scanpy:pbmc68k_reduced -k bulk_labels "
    f"--params {SHORT_ANNOTATION},annotation.calls.majority_vote=true",
    "annotation_query.h5ad": f"annotate cells.h5ad -r reference.h5ad -k cell_type --seed 3 "
    f"--params {SHORT_ANNOTATION},annotation.ablations.names=[readout_alone,trunk_frozen]",
    "annotation_prototypes.h5ad": "annotate cells.h5ad -r reference.h5ad -k cell_type "
    "--start pretrained --fit prototypes",
    "annotation_linear.h5ad": "annotate cells.h5ad -r reference.h5ad -k cell_type "
    "--start pretrained --fit linear",
    "embedding.h5ad": "embed cells.h5ad -c pretrained --max-length 80 -k cell_type "
    "--batch-key batch --params embedding.options.cells_a_block=32",
    "index": "index reference.h5ad -k cell_type -c pretrained",
    "genes.parquet": "embed --genes genes.parquet -c pretrained",
    "batch_correction.h5ad": "integrate cells.h5ad -b batch -k cell_type --expression "
    f"--params {SHORT_CORRECTION},batch_correction.ablations.names=[pooled_alone]",
    "multiomics.h5mu": "multiome cells.h5mu -b batch -k cell_type --start none "
    f"--params {SHORT_MULTIOMICS},multiomics.ablations.names=[pooled_alone]",
    "perturbation.h5ad": "perturb perturbed.h5ad -p TARGET --context-key batch "
    f"--params {SHORT_PERTURBATION},perturbation.backbone.gene_start=random,"
    "perturbation.ablations.names=[trunk_alone,no_own_gene]",
    "perturbation_context.h5ad": "perturb perturbed.h5ad -p TARGET --context-key batch "
    f"--hold-out unseen_context --params {SHORT_PERTURBATION}",
    "network.csv": f"network cells.h5ad -c pretrained --params {SHORT_NETWORK},"
    "gene_network.baselines.boosting=true",
    "pretraining": f"pretrain ../reference.h5ad --preset micro --params {SHORT_PRETRAINING}",
}
SECOND = {
    "annotation_again.h5ad": "annotate cells.h5ad -c annotation_query.scm/checkpoint",
    "mapping.h5ad": "embed cells.h5ad -c pretrained --index index -k cell_type",
    "batch_correction_again.h5ad": "integrate cells.h5ad -c batch_correction.scm/checkpoint -k cell_type",
    "multiomics_again.h5mu": "multiome cells.h5mu -c multiomics.scm/checkpoint -k cell_type",
    "perturbation_again.h5ad": "perturb perturbed.h5ad -p TARGET -c perturbation.scm/checkpoint",
    "ranking.csv": "reverse perturbed.h5ad --target TARGET -c perturbation.scm/checkpoint --pairs",
}
# What differs between two runs of one tree, or is a fact of the run and not of the result.
OF_THE_RUN = ("run", "command", "run_id", "started", "seconds", "checkpoint")


def make_inputs(folder: Path) -> str:
    """Write cells of every kind and a small pretrained model; return a perturbation."""
    import mudata
    from tests.checkpoints import write_random_checkpoint

    from sc_mamba2.cells import simulate_cells, simulate_perturbed
    from sc_mamba2.cells.modalities.opening import quiet_mudata
    from sc_mamba2.cells.simulate_pairs import simulate_rna_protein

    simulate_cells(90).write_h5ad(folder / "cells.h5ad")
    simulate_cells(120, seed=1).write_h5ad(folder / "reference.h5ad")
    perturbed = simulate_perturbed(cells=15, genes=80, targets=4)
    perturbed.write_h5ad(folder / "perturbed.h5ad")
    pair = simulate_rna_protein(90, 100)
    pair["protein"] = pair["protein"][10:].copy()
    with quiet_mudata():
        mudata.MuData(pair).write_h5mu(folder / "cells.h5mu")
    write_random_checkpoint(folder / "pretrained")
    subprocess.run([sys.executable, "-m", "sc_mamba2", "init", folder / "project"], check=True)
    return sorted(set(perturbed.obs["perturbation"]) - {"control"})[0]


def run(folder: Path, output: str, words: str) -> None:
    """Run one command in a process of its own."""
    pretraining = output == "pretraining"  # works in a project only
    given = ["--run", f"../{output}"] if pretraining else ["-o", output]
    command = [*words.split(), *([] if output == "genes.parquet" else given)]
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
    environment = os.environ | dict.fromkeys(names, "1")
    done = subprocess.run(
        [sys.executable, "-m", "sc_mamba2", *command],
        cwd=folder / "project" if pretraining else folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    (folder / f"{output}.log").write_text(done.stdout + done.stderr, "utf-8")
    print(f"{output}: {'ok' if done.returncode == 0 else done.stderr[-400:]}", flush=True)


def record(folder: Path) -> None:
    """Run all commands in `folder` and store what came out as ``results.json`` there."""
    folder.mkdir(parents=True)
    target = make_inputs(folder)
    for commands in (FIRST, SECOND):
        with ThreadPoolExecutor(2) as pool:
            for output, words in commands.items():
                pool.submit(run, folder, output, words.replace("TARGET", target))
    results = {output: describe(folder, output) for output in (*FIRST, *SECOND)}
    (folder / "results.json").write_text(json.dumps(results, indent=1, sort_keys=True), "utf-8")


def describe(folder: Path, output: str) -> dict[str, Any]:
    """Return metrics, hashes and names of what one command wrote, by place."""
    path = folder / output
    beside = path.with_suffix(".scm")
    found = tables_of(path)
    for place in sorted(path.rglob("*")) if path.is_dir() else []:
        found |= {f"{place.name}/{name}": it for name, it in tables_of(place).items()}
    if beside.is_dir():
        written = sorted(p.relative_to(beside).as_posix() for p in beside.rglob("*") if p.is_file())
        found["files"] = written
        metrics = json.loads((beside / "metrics.json").read_text("utf-8"))
        found["metrics"] = {name: part for name, part in metrics.items() if name not in OF_THE_RUN}
        for place in (p for p in written if p.endswith((".safetensors", ".csv", ".parquet"))):
            found |= {f"{place}/{name}": it for name, it in tables_of(beside / place).items()}
    return found


def tables_of(path: Path) -> dict[str, Any]:
    """Return the hash of every array of a file by its place."""
    import pandas as pd

    if path.suffix in (".h5ad", ".h5mu"):
        return cells_of(path)
    if path.suffix in (".csv", ".parquet"):
        table = pd.read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path)
        timed = ("seconds", "tokens_a_second", "tokens_per_second", "time")
        return {str(name): hashed(table[name]) for name in table if name not in timed}
    if path.suffix == ".safetensors":
        from safetensors.numpy import load_file

        return {name: hashed(it) for name, it in load_file(path).items()}
    return {}


def cells_of(path: Path) -> dict[str, Any]:
    """Return the hash of everything of ours in a file of cells by its place."""
    import anndata
    import mudata

    cells = mudata.read_h5mu(path) if path.suffix == ".h5mu" else anndata.read_h5ad(path)
    parts = {"": cells} | {f"{kind}/": part for kind, part in getattr(cells, "mod", {}).items()}
    found = {}
    for prefix, part in parts.items():
        for table in ("obs", "obsm", "var", "layers"):
            for name, value in (getattr(part, table, None) or {} if table == "layers" else
                                getattr(part, table)).items():  # fmt: skip
                if "scm" in str(name):
                    found[f"{prefix}{table}/{name}"] = hashed(value)
        facts = part.uns.get("scm", {})
        for name in set(facts) - {*OF_THE_RUN, "checkpoint_sha256"}:
            found[f"{prefix}uns/{name}"] = str(facts[name])
    return found


def hashed(value: Any) -> str:
    """Return a short hash of an array's bytes, of a column's words."""
    import numpy as np
    from scipy import sparse

    dense = value.toarray() if sparse.issparse(value) else np.asarray(value)
    if dense.dtype == object or dense.dtype.kind in "OUS":
        content = "\n".join(map(str, dense.ravel())).encode()
    else:
        content = np.ascontiguousarray(dense).tobytes()
    return f"{dense.shape} {hashlib.sha256(content).hexdigest()[:16]}"


def compare(old: Path, new: Path) -> int:
    """Print a line a command: how many values are equal, and those that are not."""
    before, after = (json.loads((at / "results.json").read_text("utf-8")) for at in (old, new))
    differences = 0
    for output, values in before.items():
        one, other = flat(values), flat(after.get(output, {}))
        differing = sorted(
            name for name in one.keys() | other.keys() if one.get(name) != other.get(name)
        )
        differences += len(differing) + (not one)
        print(f"{output}: {len(one.keys() - set(differing))} of {len(one)} equal")
        for name in differing:
            print(f"    {name}: {one.get(name, 'absent')} -> {other.get(name, 'absent')}")
    return differences


def flat(nested: Any, prefix: str = "") -> dict[str, Any]:
    """Return the leaves of a nested value by place."""
    if isinstance(nested, dict):
        return {
            k: v for name, part in nested.items() for k, v in flat(part, f"{prefix}{name}/").items()
        }
    return {prefix: nested}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("record").add_argument("folder", type=Path)
    comparing = verbs.add_parser("compare")
    comparing.add_argument("old", type=Path)
    comparing.add_argument("new", type=Path)
    arguments = parser.parse_args()
    if arguments.verb == "record":
        record(arguments.folder)
    else:
        sys.exit(compare(arguments.old, arguments.new) > 0)
