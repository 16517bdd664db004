"""A verb, `scm run` and `tl` give the same results; a trained model goes from one to the others."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anndata as ad
import mudata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from tests.checkpoints import write_random_checkpoint
from typer.testing import CliRunner

import sc_mamba2 as scm
from sc_mamba2.cells import simulate_cells, simulate_perturbed
from sc_mamba2.cells.modalities.opening import quiet_mudata
from sc_mamba2.cells.simulate_pairs import simulate_rna_protein
from sc_mamba2.commands import app
from sc_mamba2.runs.selection import parse_params
from sc_mamba2.tasks.shared.parameters import flatten

ROOT = Path(__file__).parents[2]
OF_THE_RUN = {
    "command",
    "parameters",
    "run_id",
}  # facts that differ between runs; parameters name files
OF_MEMORY = {"scm_predicted_genes"}  # a file of its own beside the verb's cells


@dataclass(frozen=True)
class Case:
    """A task: the words of its verb, what `scm run` is told instead, and the call."""

    verb: str
    words: str
    pipeline: str
    told: str
    params: str
    dataset: str
    result: str
    call: Callable[..., Any]


CASES = {
    "embedding": Case(
        verb="embed",
        words="{f}/cells.h5ad -c {f}/pretrained --max-length 80",
        pipeline="embedding",
        told="input={f}/cells.h5ad,embedding.options.checkpoint={f}/pretrained,"
        "embedding.options.max_length=80",
        params="embedding.options.cells_a_block=32",
        dataset="embedding.embedded",
        result="embedding/embedded.h5ad",
        call=lambda cells, f, **more: scm.tl.embed(
            cells, checkpoint=f / "pretrained", max_length=80, **more
        ),
    ),
    "annotation": Case(
        verb="annotate",
        words="{f}/cells.h5ad -r {f}/reference.h5ad -k cell_type --seed 3",
        pipeline="annotation_query",
        told="query={f}/cells.h5ad,input={f}/reference.h5ad,annotation.labels.key=cell_type,"
        "annotation.ablations.names=[],compute.seed=3",
        params="annotation.fine_tune.max_epochs=2,annotation.baselines.regularisation=[1.0]",
        dataset="annotation.annotated",
        result="annotation/annotated.h5ad",
        call=lambda cells, f, **more: scm.tl.annotate(
            cells, ad.read_h5ad(f / "reference.h5ad"), label_key="cell_type", seed=3, **more
        ),
    ),
    "batch_correction": Case(
        verb="integrate",
        words="{f}/cells.h5ad -b batch --expression",
        pipeline="batch_correction",
        told="input={f}/cells.h5ad,batch_correction.keys.batch_key=batch,"
        "batch_correction.keys.label_key=null,batch_correction.ablations.names=[],"
        "batch_correction.output.expression=true",
        params="batch_correction.candidates.width=8",
        dataset="batch_correction.integrated",
        result="batch_correction/integrated.h5ad",
        call=lambda cells, f, **more: scm.tl.integrate(
            cells, batch_key="batch", expression=True, **more
        ),
    ),
    "multiomics": Case(
        verb="multiome",
        words="{f}/cells.h5mu -b batch --start none",
        pipeline="multiomics",
        told="multiomics.source.inputs=[{f}/cells.h5mu],multiomics.keys.batch_key=batch,"
        "multiomics.backbone.checkpoint=null,multiomics.ablations.names=[]",
        params="multiomics.fine_tune.max_epochs=1,multiomics.head.components=4,"
        "multiomics.imputation.folds=3,multiomics.imputation.curvatures=[0.4]",
        dataset="multiomics.joint",
        result="multiomics/joint.h5mu",
        call=lambda cells, f, **more: scm.tl.multiome(
            cells, batch_key="batch", start="none", **more
        ),
    ),
    "perturbation": Case(
        verb="perturb",
        words="{f}/perturbed.h5ad -p {target} --context-key batch",
        pipeline="perturbation",
        told="input={f}/perturbed.h5ad,perturbation.population.perturbation={target},"
        "perturbation.keys.context_key=batch,perturbation.ablations.names=[]",
        # The singular vectors of so few cells are not the same to the last bit at every call.
        params="perturbation.backbone.gene_start=random,"
        "perturbation.fine_tune.max_epochs=1,perturbation.head.pairs=4,"
        "perturbation.population.ensemble=3,perturbation.evaluation.ceiling_repeats=2",
        dataset="perturbation.predicted_cells",
        result="perturbation/predicted.h5ad",
        call=lambda cells, f, **more: scm.tl.perturb(
            cells, target_of(cells), context_key="batch", **more
        ),
    ),
    "denoising": Case(
        verb="denoise",
        words="{f}/cells.h5ad --seed 2",
        pipeline="denoising",
        told="input={f}/cells.h5ad,compute.seed=2",
        params="denoising.priors.neighbours=[5,15],denoising.priors.kappa=[2],"
        "denoising.priors.ranks=[3],denoising.priors.components=5",
        dataset="denoising.denoised",
        result="denoising/denoised.h5ad",
        call=lambda cells, f, **more: scm.tl.denoise(cells, seed=2, **more),
    ),
    "gene_network": Case(
        verb="network",
        words="{f}/cells.h5ad -c {f}/pretrained",
        pipeline="gene_network",
        told="input={f}/cells.h5ad,gene_network.scoring.checkpoint={f}/pretrained",
        params="gene_network.genes.most_regulators=4,gene_network.genes.targets=25,"
        "gene_network.scoring.cells=20,gene_network.scoring.cells_a_regulator=4,"
        "gene_network.network.drawn=30",
        dataset="gene_network.edges",
        result="gene_network/edges.csv",
        call=lambda cells, f, **more: scm.tl.network(cells, checkpoint=f / "pretrained", **more),
    ),
}


def target_of(cells: ad.AnnData) -> str:
    return sorted(set(cells.obs["perturbation"]) - {"control"})[0]


def enter(*words: object) -> None:
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == 0, result.output + repr(result.exception)


@pytest.fixture(scope="module")
def f(tmp_path_factory) -> Path:
    """Give a folder with cells of every kind, and a small pretrained model."""
    folder = tmp_path_factory.mktemp("api")
    cells = simulate_cells(90)
    cells.obsm["X_own"], cells.uns["own"] = np.ones((90, 2)), "kept"
    cells.write_h5ad(folder / "cells.h5ad")
    simulate_cells(120, seed=1).write_h5ad(folder / "reference.h5ad")
    simulate_perturbed(cells=15, genes=80, targets=4).write_h5ad(folder / "perturbed.h5ad")
    pair = simulate_rna_protein(90, 100)
    pair["protein"] = pair["protein"][10:].copy()  # some cells lack it
    with quiet_mudata():
        mudata.MuData(pair).write_h5mu(folder / "cells.h5mu")
    write_random_checkpoint(folder / "pretrained")
    return folder


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """Give a project with our configuration and no data."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text("utf-8"), "utf-8")
    (folder / "src").mkdir()
    (folder / "conf").symlink_to(ROOT / "conf")
    return folder


def read(path: Path) -> Any:
    if path.suffix == ".csv":
        return pd.read_csv(path, float_precision="round_trip")
    with quiet_mudata():
        return mudata.read_h5mu(path) if path.suffix == ".h5mu" else ad.read_h5ad(path)


def results_of(found: Any) -> dict[str, Any]:
    """Return every result of ours by its place; cells that nothing was told of are left out."""
    if isinstance(found, pd.DataFrame):
        return {"uns/scm_edges": found}
    if isinstance(found, mudata.MuData):
        own = {
            f"{kind}/{name}": value
            for kind, part in found.mod.items()
            for name, value in results_of(part).items()
        }
        tables = ("obs", "obsm", "uns")
    else:
        own, tables = {}, ("obs", "obsm", "var", "layers", "uns")
        if "scm_predicted" in found.obs:
            found = found[found.obs["scm_predicted"].to_numpy()].copy()
            del found.obs["scm_predicted"]
    for table in tables:
        for name, value in getattr(found, table).items():
            if str(name).startswith(("scm", "X_scm")) and name not in OF_MEMORY:
                own[f"{table}/{name}"] = value
    return own


def assert_equal(one: Any, other: Any) -> None:
    first, second = results_of(one), results_of(other)
    assert first and first.keys() == second.keys()
    for place, value in first.items():
        twin = second[place]
        if isinstance(value, pd.DataFrame):
            pd.testing.assert_frame_equal(value, twin, check_exact=True)
        elif isinstance(value, pd.Series):
            assert value.astype(object).equals(twin.astype(object)), place
        elif isinstance(value, dict):
            assert value.keys() == twin.keys()
            for name in value.keys() - OF_THE_RUN:
                assert np.array_equal(value[name], twin[name]), name
        elif sparse.issparse(value):
            assert (value != twin).nnz == 0 and value.shape == twin.shape, place
        else:
            assert np.array_equal(value, twin, equal_nan=True), place


# Each verb alone is tried in `tests/commands`; that every door is the same code, by one of them.
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name != "embedding")) for name in CASES]
)
def test_verb_run_and_tool_give_the_same(name: str, f: Path, project: Path, monkeypatch):
    case = CASES[name]
    names = {"f": f, "target": target_of(ad.read_h5ad(f / "perturbed.h5ad"))}
    words = case.words.format(**names).split()
    output = f / f"{name}{Path(case.result).suffix}"
    enter(case.verb, *words, "-o", output, "--params", case.params)
    by_verb = read(output)

    monkeypatch.chdir(project)
    told = case.told.format(**names)
    chosen = ("--pipeline", case.pipeline, "--to-outputs", case.dataset)
    enter("run", *chosen, "--params", f"{told},{case.params}")
    assert_equal(by_verb, read(project / "data" / "07_model_output" / case.result))

    cells, before = (read(f / Path(words[0]).name) for _ in range(2))
    params = flatten(parse_params([case.params]))
    assert case.call(cells, f, params=params) is None
    tables = cells.uns["scm_edges"] if name == "gene_network" else cells
    assert_equal(by_verb, tables)
    assert_untouched(before, cells)


def assert_untouched(before: Any, after: Any) -> None:
    """Check that matrices, order, and every key of the user's are as they were."""
    assert list(after.obs_names) == list(before.obs_names)
    pd.testing.assert_frame_equal(after.obs[before.obs.columns], before.obs)
    for table in ("obsm", "uns"):
        for key, value in getattr(before, table).items():
            assert np.array_equal(getattr(after, table)[key], value), key
    if isinstance(before, mudata.MuData):
        for kind, part in before.mod.items():
            assert_untouched(part, after.mod[kind])
        return
    assert (after.X != before.X).nnz == 0
    pd.testing.assert_frame_equal(after.var[before.var.columns], before.var)


@pytest.mark.slow
def test_the_reverse_ranks_by_a_model_of_the_tool_as_its_verb_does(f: Path, project, monkeypatch):
    cells = ad.read_h5ad(f / "perturbed.h5ad")
    target, model = target_of(cells), f / "of_tool"
    short = {"perturbation.head.paths": ["start"], "perturbation.population.ensemble": 2}
    scm.tl.perturb(cells, target, params=short, save=model)
    scm.tl.reverse(cells, target, checkpoint=model, pairs=True)
    words = ("--target", target, "-c", model, "--pairs", "-o", f / "ranking.csv")
    enter("reverse", f / "perturbed.h5ad", *words)
    monkeypatch.chdir(project)
    own = {"states.target": target, "candidates.pairs": "true"}
    told = [f"reverse_perturbation.{name}={value}" for name, value in own.items()]
    told += [f"input={f / 'perturbed.h5ad'}", f"checkpoint={model}"]
    enter("run", "--pipeline", "reverse_perturbation", "--params", ",".join(told))
    of_run = project / "data" / "07_model_output" / "reverse_perturbation" / "ranking.csv"
    for path in (f / "ranking.csv", of_run):
        ranking = pd.read_csv(path, keep_default_na=False, float_precision="round_trip")
        pd.testing.assert_frame_equal(ranking, cells.uns["scm_ranking"], check_exact=True)
