"""Every row of quality: what must be reached, what is, and the strongest simple method beside it.

    python benchmarks/quality.py [--run held-out few-labels batch-correction perturbation
                                    multi-omics] [--checkpoint FOLDER]

Runs the scripts of the tasks over 3 seeds (none with an empty `--run`), then gathers all of `results/` into
`results/quality.md`, and puts it into `docs/quality.md`. `--checkpoint` is one that has not seen Kang's
cells; `few-labels` needs it. Annotation across studies is `studies.py`.
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import annotation
import batch_correction
import denoising
import few_labels
import multiomics
import numpy as np
import perturbation
import reverse_perturbation

RESULTS = Path(__file__).parent / "results"
PAGE = Path(__file__).parents[1] / "docs" / "quality.md"
NAMES = {"logistic_regression": "logistic regression", "pca_knn": "PCA + kNN"}
RUNS = ("held-out", "few-labels", "batch-correction", "perturbation", "multi-omics")
PERTURBATION_METHODS = (
    "training_mean",
    "shrunken_mean",
    "matching_mean",
    "additive",
    "ridge",
    "ridge_reactome",
)
JOINT_SCORES = {
    "avg_bio": "AvgBIO",
    "kept_rna": "neighbours kept, RNA",
    "kept_protein": "neighbours kept, protein",
    "kept_atac": "neighbours kept, ATAC",
    "pearson_protein": "protein correlation",
    "foscttm_protein": "matching, 1 - FOSCTTM",
    "foscttm_atac": "matching, 1 - FOSCTTM",
}
NETWORKS = ("kang_ifnb_pbmc", "zheng_facs_pbmc", "mudan_sorted_pbmc_reference")
# What keeps all of its own neighbours, by being nothing else.
ONE_MODALITY = ("baseline: pca_rna", "baseline: pca_protein", "baseline: pca_atac")


@dataclass(frozen=True)
class Line:
    """One line of the table: a figure of the model, the simple method's, and what must be.

    Attributes
    ----------
    least
        The lowest figure of the model that is enough.
    """

    task: str
    score: str
    model: list[float]
    simple: list[float]
    simple_name: str
    least: float

    def text(self) -> str:
        """Return the line of the Markdown table."""
        reached = "yes" if np.mean(self.model) >= self.least else "**no**"
        simple = f"{_spread(self.simple)} ({self.simple_name})"
        return (
            f"| {self.task} | {self.score} | {_spread(self.model)} | {simple} | {self.least:.3f} "
            f"| {reached} |"
        )


def _spread(values: list[float]) -> str:
    """Show the mean over seeds, and the standard deviation where there is more than one."""
    return f"{np.mean(values):.3f}" + (f" ± {np.std(values):.3f}" if len(values) > 1 else "")


def _read(name: str) -> dict[str, Any] | None:
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text()) if path.is_file() else None


def _annotation_line(file: str, task: str, score: str, better_by: float) -> list[Line]:
    """Compare the model with the better of the simple methods."""
    record = _read(file)
    if record is None:
        return []
    methods = {
        name: [run["methods"][name][score] for run in record["runs"]]
        for name in record["runs"][0]["methods"]
    }
    simple = max(
        (n for n in methods if n.startswith("baseline")), key=lambda n: np.mean(methods[n])
    )
    least = float(np.mean(methods[simple])) + better_by
    model = methods["model (consensus)"]
    name = NAMES[simple.removeprefix("baseline: ")]
    return [Line(task, score.replace("_", " "), model, methods[simple], name, least)]


def _lora_lines() -> list[Line]:
    record = _read("lora")
    if record is None:
        return []
    full, adapters = (
        [run["accuracy"] for run in record["quality"] if run["mode"] == mode]
        for mode in ("full", "lora")
    )
    task = "annotation, held-out cells, adapters against full fine-tuning"
    return [Line(task, "accuracy", adapters, full, "full", float(np.mean(full)) - 0.02)]


def _few_label_lines() -> list[Line]:
    record = _read("few_labels")
    if record is None:
        return []
    lines = []
    for count in (5, 20):
        of = {row["method"]: row["runs"] for row in record["rows"] if row["labels"] == count}
        for score in ("accuracy", "macro_f1"):
            model = [run[score] for run in of["model: genes + trunk"]]
            simple = [run[score] for run in of["logistic regression, all genes"]]
            task = f"annotation, {count} labels a type, Kang"
            least = float(np.mean(simple))
            name = score.replace("_", " ")
            lines.append(Line(task, name, model, simple, "logistic regression", least))
    return lines


def _batch_lines(study: str) -> list[Line]:
    record = _read(f"batch_correction_{study}")
    if record is None:
        return []
    found = {
        name: [run["methods"][name]["overall"] for run in record["runs"]]
        for name in record["runs"][0]["methods"]
        if name == "model" or name.startswith("baseline: harmony")
    }
    model = found.pop("model")
    best = max(found, key=lambda name: float(np.mean(found[name])))
    title, named = "scIB overall", best.removeprefix("baseline: ")
    least = float(np.mean(found[best])) - 0.005
    return [Line(f"batch correction, {study}", title, model, found[best], named, least)]


def _perturbation_lines(study: str, task: str) -> list[Line]:
    """Compare with the strongest method, which is what must be reached."""
    record = _read(f"perturbation_{study}")
    if record is None:
        return []
    tables = [perturbation.seed_scores(study, run, scored_only=True) for run in record["runs"]]
    if "discrimination" not in tables[0]["model"]:  # one unit a run: ranked among those of all runs
        for table, run in zip(tables, record["runs"], strict=True):
            for method, scores in run["pooled"]["all"].items():
                table[method]["discrimination"] = scores["cityblock"]
    lines = []
    for score, title in (("pearson_delta", "Pearson delta"), ("discrimination", "discrimination")):
        found = {
            name: [table[name][score] for table in tables]
            for name in ("model", *PERTURBATION_METHODS)
            if name in tables[0]
        }
        model = found.pop("model")
        name = max(found, key=lambda method: np.mean(found[method]))
        least = max(float(np.mean(scores)) for scores in found.values())
        lines.append(Line(task, title, model, found[name], name.replace("_", " "), least))
    return lines


def _reverse_lines() -> list[Line]:
    """Compare with the strongest method; what must be is the nearest pseudobulk profile."""
    record = _read("reverse_perturbation")
    if record is None or "papalexi" not in record["studies"]:
        return []
    tables, fixed = record["studies"]["papalexi"], "pseudobulk neighbour"
    task = "reverse, papalexi, cells of another replicate"
    lines = []
    for score, title in (("hits@1", "hits at 1"), ("mrr", "MRR")):
        names = ("model", fixed, "differential expression", "random")
        found = {name: [table[name][score] for table in tables] for name in names}
        model, least = found.pop("model"), float(np.mean(found[fixed]))
        name = max(found, key=lambda method: np.mean(found[method]))
        lines.append(Line(task, title, model, found[name], name, least))
    return lines


def _joint_lines(study: str) -> list[Line]:
    record = _read(f"multiomics_{study}")
    if record is None or study == "mosaic":
        return []
    lines = []
    for score, title in JOINT_SCORES.items():
        methods = {
            name: [run["methods"][name][score] for run in record["runs"]]
            for name, found in record["runs"][0]["methods"].items()
            if score in found
        }
        # What is kept of each modality's neighbours says something where types are not known.
        known = "avg_bio" in record["runs"][0]["methods"]["model"]
        if "model" not in methods or (known and score.startswith("kept")):
            continue
        if score.startswith("foscttm"):  # the lower, the better
            methods = {name: [1 - value for value in found] for name, found in methods.items()}
        rivals = [n for n in methods if n.startswith("baseline") and n not in ONE_MODALITY]
        simple = max(rivals, key=lambda name: np.mean(methods[name]))
        name = simple.removeprefix("baseline: ").replace("_", " ")
        least = float(np.mean(methods[simple]))
        task = f"{'RNA + ATAC' if study == 'a549' else 'RNA + protein'}, {study}"
        lines.append(Line(task, title, methods["model"], methods[simple], name, least))
    return lines


def _mosaic_lines() -> list[Line]:
    record = _read("multiomics_mosaic")
    if record is None:
        return []
    lines, score = [], "pearson_protein"
    for method in record["runs"][0]["methods"]:
        batch, _, name = method.partition(": ")
        if name == "model":
            other = f"{batch}: ridge on the other batch"
            model, simple = (
                [run["methods"][n][score] for run in record["runs"]] for n in (method, other)
            )
            task = f"RNA + protein, proteins of `{batch}` hidden"
            least = float(np.mean(simple))
            lines.append(Line(task, "protein correlation", model, simple, "ridge", least))
    return lines


def _network_lines(study: str) -> list[Line]:
    record = _read(f"gene_network_{study}")
    if record is None:
        return []
    found = {
        name: [table[name]["auprc_ratio"] for table in record["tables"]]
        for name in ("model (consensus)", "correlation", "pearson", "boosting")
    }
    model = found.pop("model (consensus)")
    name = max(found, key=lambda method: np.mean(found[method]))
    least = float(np.mean(found[name]))
    return [Line(f"gene network, {study}", "AUPRC over chance", model, found[name], name, least)]


def _denoising_lines(study: str) -> list[Line]:
    """Compare gains over the gene means, in nats a held-out molecule."""
    record = _read("denoising")
    if record is None:
        return []
    runs = record["studies"][study]
    model = [run["model"]["gain"] for run in runs]
    simple = [  # the priors without a model are ablations of the choice, but also simple methods
        run["baselines"] | {k: v for k, v in run["ablations"].items() if k != "pretrained"}
        for run in runs
    ]
    found = {name: [run[name]["gain"] for run in simple] for name in simple[0]}
    name = max(found, key=lambda method: np.mean(found[method]))
    title, least = "nats a molecule gained over gene means", float(np.mean(found[name]))
    return [Line(f"denoising, {study}", title, model, found[name], name.replace("_", " "), least)]


def summary() -> str:
    """Return the table of all rows that have been run."""
    held_out = "annotation, held-out cells, `pbmc68k_reduced`"
    lines = [
        line
        for score in ("accuracy", "macro_f1")
        for line in _annotation_line("annotation_held_out_consensus", held_out, score, -0.005)
    ]
    lines += _lora_lines()
    lines += _few_label_lines()
    lines += [line for study in batch_correction.STUDIES for line in _batch_lines(study)]
    lines += _perturbation_lines("papalexi", "perturbation, papalexi, unseen targets")
    lines += _perturbation_lines("kang", "perturbation, kang, unseen cell types")
    lines += _perturbation_lines("gbm", "perturbation, gbm, unseen patients")
    lines += _reverse_lines()
    lines += [line for study in multiomics.FILES for line in _joint_lines(study)]
    lines += _mosaic_lines()
    lines += [line for study in NETWORKS for line in _network_lines(study)]
    lines += [line for study in denoising.STUDIES for line in _denoising_lines(study)]
    head = "| task | score | model | strongest simple method | must | reached |\n|---|---|---|---|---|---|"
    return "\n".join([head, *(line.text() for line in lines)]) + "\n"


def main() -> None:
    """Run what is asked for, then write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--run", nargs="*", choices=RUNS, default=list(RUNS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--checkpoint", default=None)
    chosen = parser.parse_args()
    if "held-out" in chosen.run:
        annotation.run_rows(["held-out, consensus"], chosen.seeds, None)
    if "few-labels" in chosen.run and chosen.checkpoint is not None:
        few_labels.run(chosen.checkpoint)
    if "batch-correction" in chosen.run:
        batch_correction.run_studies(list(batch_correction.STUDIES), chosen.seeds, {})
    if "perturbation" in chosen.run:
        perturbation.run_studies(list(perturbation.FILES), chosen.seeds, False, [], {})
        reverse_perturbation.run_studies(list(reverse_perturbation.STUDIES), chosen.seeds)
    if "multi-omics" in chosen.run:
        multiomics.run_studies(list(multiomics.FILES), chosen.seeds, {})
    table = summary()
    (RESULTS / "quality.md").write_text(table)
    before, rest = PAGE.read_text("utf-8").split("quality.md -->\n")
    page = f"{before}quality.md -->\n{table}<!-- end -->{rest.split('<!-- end -->')[1]}"
    PAGE.write_text(page, "utf-8")


if __name__ == "__main__":
    main()
