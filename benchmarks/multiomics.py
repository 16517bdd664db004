"""Multi-omics beside its baselines and ablations, over several seeds; hidden proteins told back.

    python benchmarks/multiomics.py [--studies bmmc pbmc malt a549 mosaic] [--seeds 0 1 2] [--params a=b]
                                    [--suffix _x]

Each study and seed is one run of the project's own pipeline with the parameters of conf/base; the script
only collects `metrics.json`, and for `mosaic` compares what was told of a batch whose proteins it had
taken away. Labels are read by the scores alone; what was tried before the defaults were fixed stands in
`results/multiomics_tried.md`. Writes `results/multiomics_<study>.json` and a Markdown table.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import anndata as ad
import mudata
import numpy as np
from machine import describe_machine

from sc_mamba2.cells import keys
from sc_mamba2.metrics.prediction import feature_scores
from sc_mamba2.reporting import scores_by_method
from sc_mamba2.runs.logs import set_logging
from sc_mamba2.runs.selection import Selection, merge, parse_params
from sc_mamba2.runs.session import run_in_folder
from sc_mamba2.tasks.multiomics.baselines import predict_by_ridge
from sc_mamba2.tasks.multiomics.model import MultiomicsModel
from sc_mamba2.tasks.multiomics.params import BaselineParams
from sc_mamba2.tasks.multiomics.tokens import modality_values
from sc_mamba2.tokens import clr, load_tokens

RESULTS = Path(__file__).parent / "results"
SHARED = Path(__file__).parents[2] / "shared" / "data"
FILES = {
    "bmmc": "bmmc_cite",
    "pbmc": "pbmc_cite_5k10k",
    "malt": "malt_cite",
    "a549": "a549_scicar",
    "mosaic": "pbmc_cite_5k10k",
}
KEYS: dict[str, dict[str, Any]] = {
    "bmmc": {"label_key": "cell_type", "held_out_key": "split", "held_out_value": "test"},
    "pbmc": {
        "label_key": "cell_type_protein_gated",
        "batch_key": "batch",
        "held_out_share": 0.25,
    },
    "malt": {"held_out_share": 0.25},
    "a549": {"held_out_share": 0.25},
    "mosaic": {"batch_key": "batch", "held_out_share": 0.0},
}
FEATURES = {"a549": {"genome": "hg19"}}


def run_study(study: str, seed: int, params: dict[str, Any]) -> dict[str, Any]:
    """Run one study with one seed; return its scores by method, and the seconds that it took."""
    started = time.perf_counter()
    other = "atac" if study == "a549" else "protein"
    inputs = [str(SHARED / f"{FILES[study]}_{kind}.h5ad") for kind in ("rna", other)]
    with tempfile.TemporaryDirectory() as folder:
        if study == "mosaic":
            methods = {}
            for batch in sorted(set(ad.read_h5ad(inputs[1], backed="r").obs["batch"])):
                methods |= told_back(inputs, batch, seed, params, Path(folder) / batch)
        else:
            metrics, _ = run_pipeline(study, inputs, seed, params, Path(folder))
            methods = scores_by_method(metrics)
    return {"seed": seed, "seconds": round(time.perf_counter() - started), "methods": methods}


def run_pipeline(
    study: str, inputs: list[str], seed: int, params: dict[str, Any], folder: Path
) -> tuple[dict[str, Any], dict[str, Path]]:
    """Run the pipeline in a folder; return its metrics and the files that it wrote."""
    given = {
        "compute": {"seed": seed},
        "multiomics": {
            "source": {"inputs": inputs},
            "keys": KEYS[study],
            "features": FEATURES.get(study, {}),
            "ablations": {"names": ["start_alone"]},
        },
    }
    selection = Selection(pipelines=("multiomics",), params=merge(given, params))
    written = run_in_folder(selection, folder).written
    return json.loads(written["multiomics.metrics"].read_text()), written


def told_back(
    inputs: list[str], hidden: str, seed: int, params: dict[str, Any], folder: Path
) -> dict[str, dict[str, float]]:
    """Take the proteins of a batch away, and score what is told of them beside ridge."""
    folder.mkdir()
    proteins = ad.read_h5ad(inputs[1])
    path = folder / "protein.h5ad"
    proteins[proteins.obs["batch"] != hidden].copy().write_h5ad(path)
    params = merge(params, {"multiomics": {"ablations": {"names": []}}})
    _, written = run_pipeline("mosaic", [inputs[0], str(path)], seed, params, folder)
    tokens = load_tokens(written["multiomics.tokens"])
    vocabulary = MultiomicsModel.from_pretrained(written["multiomics.model"]).tokenizer.vocabulary
    lacking = np.flatnonzero(~tokens.obs["has_protein"].to_numpy(bool))
    names = tokens.obs.index[lacking]
    measured = clr(proteins[names].X).toarray()
    told = mudata.read_h5mu(written["multiomics.joint"]).obsm[f"{keys.IMPUTED}_protein"]
    # Ridge gets every cell of the other batch, also those that chose the model's epoch.
    parts = np.where(tokens.obs["has_protein"], "training", "held_out")
    design = tokens.obs.assign(part=parts)
    ridge = predict_by_ridge(modality_values(tokens, vocabulary), design, BaselineParams(), seed)
    own = {
        "model": told.loc[names, list(proteins.var_names)].to_numpy(),
        "ridge on the other batch": ridge["protein"][lacking],
    }
    return {
        f"{hidden}: {name}": {
            f"{score}_protein": v for score, v in feature_scores(t, measured).items()
        }
        for name, t in own.items()
    }


def markdown(study: str, runs: list[dict[str, Any]]) -> str:
    """Return a table: a method a line, mean and standard deviation over the seeds."""
    methods = runs[0]["methods"]
    scores = list(dict.fromkeys(name for found in methods.values() for name in found))
    lines = [
        f"### multi-omics, {study}: {len(runs)} seeds, mean ± standard deviation\n",
        f"| method | {' | '.join(score.replace('_', ' ') for score in scores)} |",
        "|---" * (len(scores) + 1) + "|",
    ]
    for method, found in methods.items():
        columns = []
        for score in scores:
            values = [run["methods"][method].get(score, np.nan) for run in runs]
            known = score in found
            columns.append(f"{np.mean(values):.3f} ± {np.std(values):.3f}" if known else "–")
        lines.append(f"| {method} | {' | '.join(columns)} |")
    return "\n".join(lines) + "\n"


def keep(study: str, runs: list[dict[str, Any]], params: dict[str, Any], suffix: str) -> None:
    """Write what has run so far; a benchmark that is cut off loses nothing."""
    RESULTS.mkdir(exist_ok=True)
    record = {"study": study, "params": params, "machine": describe_machine(), "runs": runs}
    path = RESULTS / f"multiomics_{study}{suffix}"
    path.with_suffix(".json").write_text(json.dumps(record, indent=1) + "\n")
    path.with_suffix(".md").write_text(markdown(study, runs))


def run_studies(
    studies: list[str], seeds: list[int], params: dict[str, Any], suffix: str = ""
) -> None:
    """Run studies over seeds and write their tables; say why, where there are none."""
    if not SHARED.is_dir():
        print(f"skipped: no folder {SHARED.name} beside the project")
        return
    for study in studies:
        runs: list[dict[str, Any]] = []
        for seed in seeds:
            runs.append(run_study(study, seed, params))
            wanted = ("avg_bio", "pearson_protein", "foscttm_protein", "foscttm_atac")
            scores = {
                method: tuple(round(found[name], 3) for name in wanted if name in found)
                for method, found in runs[-1]["methods"].items()
            }
            print(f"{study}, seed {seed}, {runs[-1]['seconds']} s: {scores}", flush=True)
            keep(study, runs, params, suffix)
        print(markdown(study, runs))


def main() -> None:
    """Run the studies asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--studies", nargs="+", choices=list(FILES), default=list(FILES))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--params", nargs="+", default=[])
    parser.add_argument("--suffix", default="", help="of the files' names")
    chosen = parser.parse_args()
    set_logging(verbose=False)
    run_studies(chosen.studies, chosen.seeds, parse_params(chosen.params), chosen.suffix)


if __name__ == "__main__":
    main()
