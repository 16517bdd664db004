"""How the ready-made annotators are made, and what they are worth on studies that they have not seen.

    python benchmarks/annotators.py judge [blood pancreas]     # each study left out; results/annotators.json
    python benchmarks/annotators.py make blood OUTPUT           # the folder that ships, with its card

Each is the default consensus of `scm annotate`, which keeps sums over alike cells, none of any cell
(`annotation.head.keeps=sums`). The studies are read from `../shared/data`. Beside it stands logistic
regression with its penalty chosen by cross-validation, on the cells of the same studies and over the genes
that both sides measure.
"""

import argparse
import json
import re
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import anndata as ad
import numpy as np
import pandas as pd
from machine import describe_machine
from sklearn.metrics import accuracy_score, f1_score

from sc_mamba2 import tl
from sc_mamba2.cells import keys
from sc_mamba2.methods.sums_of_cells import MIN_CELLS
from sc_mamba2.tasks.annotation.annotator import Annotator
from sc_mamba2.tasks.annotation.baselines import baseline_calls
from sc_mamba2.tasks.annotation.params import AnnotationParams, BaselineParams, LabelParams
from sc_mamba2.tasks.annotation.split import take_query
from sc_mamba2.tasks.shared.parameters import build_parameters
from sc_mamba2.tasks.shared.params import SHARED_GROUPS
from sc_mamba2.tl.shared import valid_cells

RESULTS = Path(__file__).parent / "results"
SHARED = Path(__file__).parents[2] / "shared" / "data"
TYPE, STUDY = "type", "study"
GROUPS = {"annotation": AnnotationParams, **SHARED_GROUPS}

B, T, NK = "B cell", "T cell", "NK cell"
CD14, CD16 = "CD14 monocyte", "CD16 monocyte"
CDC, PDC = "conventional dendritic cell", "plasmacytoid dendritic cell"
MK, ERYTHROCYTE, STEM = "megakaryocyte", "erythrocyte", "hematopoietic stem cell"

# What the studies call the types of blood; what no line fits is left out.
_BLOOD = {
    "zheng_facs_pbmc": {
        r"CD19": B,
        r"CD34": STEM,
        r"CD56": NK,
        r"CD14": CD14,
        r"CD[48]": T,
    },
    "mudan_sorted_pbmc_reference": {
        r"^nk$": NK,
        r"bcells": B,
        r"monocytes": CD14,
        r"cytotoxic|memoryt|regulatoryt|thelper|naivet": T,
    },
    "kang_ifnb_pbmc": {
        r"CD14 Mono": CD14,
        r"CD16 Mono": CD16,
        r"^CD[48] |^T activated": T,
        r"^B\b": B,
        r"^NK": NK,
        r"^DC": CDC,
        r"^pDC": PDC,
        r"^Mk": MK,
    },
    "onek1k_40donors_1000genes": {r"^CD4 ": T, r"^B ": B, r"^CD14": CD14, r"^FCGR3A": CD16},
    "pbmc_cite_5k10k_rna": {r"^T_CD": T, r"^NK": NK, r"^B$": B},
    "bmmc_cite_rna": {
        r"^CD[48]\+|T reg|^gdT|^MAIT": T,
        r"^NK": NK,
        r"CD20|^B1 B|Transitional B": B,
        r"^CD14": CD14,
        r"^CD16": CD16,
        r"^cDC": CDC,
        r"^pDC": PDC,
        r"^HSC": STEM,
    },
}
_COLUMNS = {
    "zheng_facs_pbmc": "sorted_population",
    "pbmc_cite_5k10k_rna": "cell_type_protein_gated",
}
_PANCREAS = {
    "alpha": "alpha cell",
    "beta": "beta cell",
    "delta": "delta cell",
    "gamma": "gamma cell",
    "ductal": "ductal cell",
    "acinar": "acinar cell",
    "endothelial": "endothelial cell",
    "activated_stellate": "activated stellate cell",
    "quiescent_stellate": "quiescent stellate cell",
}
# Zheng's sorted cells and Mudan's reference of them share cells: one study.
ZHENG, KANG, CITE = "Zheng 2017", "Kang 2018", "10x CITE-seq"


class Recipe(NamedTuple):
    """What an annotator is made of."""

    studies: Callable[[], dict[str, ad.AnnData]]
    others: Callable[[], dict[str, ad.AnnData]]  # judge it, and are no part of it
    about: str


def blood_study(file: str) -> ad.AnnData:
    """Read a study of blood, its types in the names of the annotator."""
    cells = ad.read_h5ad(SHARED / f"{file}.h5ad")
    names = cells.obs[_COLUMNS.get(file, "cell_type")].astype(str)

    def told(name: str) -> str | None:
        return next((t for line, t in _BLOOD[file].items() if re.search(line, name)), None)

    cells.obs[TYPE] = names.map(told).to_numpy()
    return plain(cells[cells.obs[TYPE].notna().to_numpy()])


def plain(cells: ad.AnnData) -> ad.AnnData:
    """Return counts, genes and types alone."""
    return ad.AnnData(cells.X, obs=cells.obs[[TYPE]].copy(), var=cells.var[[]].copy())


def blood() -> dict[str, ad.AnnData]:
    """Return the labelled studies of blood with all genes."""
    zheng, mudan = map(blood_study, ("zheng_facs_pbmc", "mudan_sorted_pbmc_reference"))
    bare = [cells.obs_names.str.split("-").str[0] for cells in (zheng, mudan)]
    mudan = mudan[~bare[1].isin(bare[0])]
    mudan.obs_names = "mudan_" + mudan.obs_names
    return {
        ZHENG: ad.concat([zheng, mudan]),
        KANG: blood_study("kang_ifnb_pbmc"),
        CITE: blood_study("pbmc_cite_5k10k_rna"),
    }


def other_blood() -> dict[str, ad.AnnData]:
    """Return labelled studies of blood and marrow with few genes."""
    files = {
        "OneK1K, 1,000 genes": "onek1k_40donors_1000genes",
        "NeurIPS 2021 marrow, 1,000 genes": "bmmc_cite_rna",
    }
    return {name: blood_study(file) for name, file in files.items()}


def pancreas() -> dict[str, ad.AnnData]:
    """Return five studies of the pancreas."""
    cells = ad.read_h5ad(SHARED / "pancreas_panc8_1000x1000.h5ad")
    cells.obs[TYPE] = cells.obs["cell_type"].astype(str).map(_PANCREAS)
    cells = cells[cells.obs[TYPE].notna().to_numpy()]
    names = {
        "celseq": "Grün 2016",
        "celseq2": "Muraro 2016",
        "fluidigmc1": "Lawlor 2017",
        "indrop": "Baron 2016",
        "smartseq2": "Segerstolpe 2016",
    }
    batches = cells.obs["batch"].astype(str)
    return {name: plain(cells[(batches == batch).to_numpy()]) for batch, name in names.items()}


RECIPES = {
    "blood": Recipe(
        blood,
        other_blood,
        """Human peripheral blood: eight types and CD34+ precursors.

- [Zheng 2017](https://doi.org/10.1038/ncomms14049): PBMC sorted by FACS, 10x Genomics, CC BY 4.0
- [Kang 2018](https://doi.org/10.1038/nbt.4042): PBMC of eight donors with and without interferon beta,
  GEO GSE96583, the labels of the Seurat tutorial
- PBMC 5k and 10k of 10x Genomics with surface proteins (v3 chemistry), CC BY 4.0: 279 cells, types by crude gates
  on the proteins

T cells are one type here. Told apart as CD4 and CD8, half of the CD4 cells of a study of another chemistry were
called CD8: sorted cells are of one run a type, and what differs between runs was learnt as if it told them.
""",
    ),
    "pancreas": Recipe(
        pancreas,
        dict,
        """Human pancreas: nine types, 1,000 genes (the subset of the data set panc8 in the R package nebula).

- Grün 2016 (GEO GSE81076), Muraro 2016 (GSE85241), Lawlor 2017 (GSE86469), Baron 2016 (GSE84133),
  Segerstolpe 2016 (ArrayExpress E-MTAB-5061)
""",
    ),
}


def reference_of(studies: dict[str, ad.AnnData]) -> ad.AnnData:
    """Join studies over the genes that all measure; types of few cells are left out."""
    cells = ad.concat(studies, label=STUDY, index_unique="-")
    counts = cells.obs[TYPE].value_counts()
    return cells[cells.obs[TYPE].isin(counts.index[counts >= MIN_CELLS]).to_numpy()].copy()


def make(studies: dict[str, ad.AnnData], folder: Path) -> ad.AnnData:
    """Fit an annotator by the default of the verb, write it, and return what it was fitted to."""
    reference = reference_of(studies)
    params = {"annotation.head.keeps": "sums", "annotation.labels.batch_key": STUDY}
    few = reference[:: max(1, reference.n_obs // 100)].copy()  # something has to be asked
    del few.obs[TYPE]
    tl.annotate(few, reference, label_key=TYPE, save=folder, params=params)
    return reference


def regression(reference: ad.AnnData, query: ad.AnnData) -> pd.Series:
    """Call a query by logistic regression, its penalty by cross-validation.

    Both are normalised over the genes that both measure.
    """
    shared = reference.var_names[reference.var_names.isin(query.var_names)]
    reference, query = reference[:, shared].copy(), query[:, shared].copy()
    groups = build_parameters(GROUPS, {"annotation.labels.key": TYPE})
    known, asked = (valid_cells(cells, groups).valid for cells in (reference, query))
    training, cells, _ = take_query(known, asked, LabelParams(key=TYPE))
    return baseline_calls(training, cells, BaselineParams(), 0)["logistic_regression"]


def scores(truth: pd.Series, called: pd.Series, types: set[str]) -> dict[str, float]:
    """Return accuracy over cells of the types that could be called, and macro F1 over these types."""
    known = truth.isin(types).to_numpy()
    names, calls = truth[known].to_numpy(str), called.loc[truth.index][known].to_numpy(str)
    macro = f1_score(names, calls, average="macro", labels=np.unique(names), zero_division=0)
    return {"accuracy": float(accuracy_score(names, calls)), "macro_f1": float(macro)}


def judge(recipe: Recipe) -> dict[str, dict]:
    """Leave each study out, then ask the whole annotator about the other ones."""
    studies, rows = recipe.studies(), {}
    asked = [
        (name, {n: c for n, c in studies.items() if n != name}, cells)
        for name, cells in studies.items()
    ]
    asked += [(name, studies, cells) for name, cells in recipe.others().items()]
    for name, known, query in asked:
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch) / "annotator"
            reference, types = make(known, folder), {t for c in known.values() for t in c.obs[TYPE]}
            bare, clock = query.copy(), time.perf_counter()
            del bare.obs[TYPE]
            done = tl.annotate(bare, checkpoint=folder, copy=True)
            seconds = time.perf_counter() - clock
        truth = query.obs[TYPE].astype(str)
        typed = truth.isin(types)
        unassigned = done.obs[keys.UNASSIGNED].to_numpy(bool)
        rows[name] = {
            "cells": query.n_obs,
            "known": float(typed.mean()),
            "genes": int(reference.var_names.isin(query.var_names).sum()),
            "seconds": seconds,
            "annotator": scores(truth, done.obs[keys.CELL_TYPE].astype(str), types),
            "logistic_regression": scores(truth, regression(reference, query), types),
            "unassigned": float(unassigned[typed.to_numpy()].mean()),
            "unassigned_unknown": float(unassigned[~typed.to_numpy()].mean())
            if not typed.all()
            else None,
        }
        print(name, rows[name], flush=True)
    return rows


def table(rows: dict[str, dict]) -> str:
    """Lay the studies out as Markdown."""
    lines = [
        "| study not seen | cells | known | annotator | logistic regression | F1 | its F1 |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, row in rows.items():
        ours, simple = row["annotator"], row["logistic_regression"]
        lines.append(
            f"| {name} | {row['cells']:,} | {row['known']:.0%} | {ours['accuracy']:.3f} | "
            f"{simple['accuracy']:.3f} | {ours['macro_f1']:.3f} | {simple['macro_f1']:.3f} |"
        )
    return "\n".join(lines) + "\n"


def card(name: str, model: Annotator, reference: ad.AnnData, rows: dict[str, dict]) -> str:
    """Write what stands behind the facts of a model card."""
    counts = reference.obs[[TYPE, STUDY]].value_counts().unstack(fill_value=0)
    types = "\n".join(
        f"- {label} ({model.terms.get(label, 'no term')}): "
        + ", ".join(f"{cells:,} of {study}" for study, cells in counts.loc[label].items() if cells)
        for label in model.labels
    )
    return f"""## What it was made of

{RECIPES[name].about}
It holds sums of counts over groups of at least {MIN_CELLS} alike cells, and no cell. Labels are those of the
studies, renamed by hand to {len(model.labels)} types, each with its term of the Cell Ontology:

{types}

## On studies that it had not seen

Accuracy and macro F1 over the cells of types that it knew. A study of its own was left out of an annotator made
without it; the others judge this one. Beside it: logistic regression, its penalty by cross-validation,
on the cells of the same studies.

{table(rows)}
## Limits

- Cells of other types are called one of these, or marked in `scm_unassigned`: look at the markers of every type.
- Human genes; a query that lacks too many of them is refused.
"""


def main() -> None:
    """Judge or make."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["judge", "make"])
    parser.add_argument("names", nargs="+")
    chosen = parser.parse_args()
    file = RESULTS / "annotators.json"
    found = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {"rows": {}}
    if chosen.what == "judge":
        for name in chosen.names:
            found["rows"][name] = judge(RECIPES[name])
        found["machine"] = describe_machine()
        file.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        text = "".join(f"## {name}\n\n{table(rows)}\n" for name, rows in found["rows"].items())
        file.with_suffix(".md").write_text(f"# Ready-made annotators\n\n{text}", encoding="utf-8")
        return
    name, output = chosen.names
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "annotator"
        reference = make(RECIPES[name].studies(), folder)
        model = Annotator.from_pretrained(folder)
    model.save_pretrained(output, more=card(name, model, reference, found["rows"][name]))


if __name__ == "__main__":
    main()
