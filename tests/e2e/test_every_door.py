"""What a file holds is read alike by every door, or refused alike: verbs, the Python API, corpora, blocks.

Each variant is a kind of file that people have; what must come of it is the truth, or the rule that refuses.
"""

import re
from collections.abc import Callable

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from tests.cli import entered, invoke

import sc_mamba2 as scm
from sc_mamba2.cells import read_cells, simulate_cells, standardise
from sc_mamba2.cells.blocks import decide_stored_form, standard_blocks
from sc_mamba2.cells.corpus.scan import ReadingRules, scan_file
from sc_mamba2.cells.opening import open_cells
from sc_mamba2.errors import UserError
from sc_mamba2.genes import load_gene_table

CELLS, GENES, CUT = 60, 240, 80
TABLE = load_gene_table()
TRUE = simulate_cells(CELLS, GENES)
COUNTS = TRUE.X.toarray().astype(float)
SHARES = COUNTS / COUNTS.sum(axis=1, keepdims=True)
LOGGED = np.log1p(SHARES * 1e4)
SYMBOLS, IDS = [str(name) for name in TRUE.var["symbol"]], list(TRUE.var_names)
CHANCE = np.random.default_rng(0)
SOUP = COUNTS * CHANCE.uniform(0.88, 0.99, COUNTS.shape)
PANEL = [
    "CD3",
    "CD4",
    "CD8a",
    "CD14",
    "CD16",
    "CD19",
    "CD25",
    "CD45RA",
    "CD45RO",
    "CD56",
    "CD127",
    "PD-1",
]


def cells(values: np.ndarray = COUNTS, names: list[str] = IDS, **columns: list[str]) -> ad.AnnData:
    var = pd.DataFrame(columns, index=list(map(str, names)))
    return ad.AnnData(sparse.csr_matrix(values.astype("f4")), obs=TRUE.obs.copy(), var=var)


def with_antibodies(names: list[str], kinds: tuple[str, str] | None, column: str) -> ad.AnnData:
    counts = CHANCE.poisson(80, (CELLS, len(names)))
    both = cells(np.hstack([COUNTS, counts]), [*SYMBOLS, *names])
    if kinds:
        both.var[column] = [kinds[0]] * GENES + [kinds[1]] * len(names)
    return both


def layered(layer: np.ndarray, x: np.ndarray, raw: np.ndarray | None = None) -> ad.AnnData:
    whole = cells(x)
    whole.layers["counts"] = sparse.csr_matrix(layer.astype("f4"))
    if raw is not None:
        whole.raw = cells(raw)
    return whole


def mixed(one: np.ndarray, other: np.ndarray, few: int = 7) -> np.ndarray:
    together = one.copy()
    together[:few] = other[:few]
    return together


def mouse_too(share: float) -> ad.AnnData:
    other = CHANCE.poisson(0.8, COUNTS.shape)
    keep = np.arange(CELLS) < share * CELLS
    both = np.hstack([np.where(keep[:, None], 0, COUNTS), np.where(keep[:, None], other, 0)])
    return cells(
        both,
        [*[f"GRCh38_{name}" for name in IDS], *[f"mm10_ENSMUSG{i:011d}" for i in range(GENES)]],
    )


Expected = str | np.ndarray  # the rule that refuses, or the log-normalised values
VARIANTS: dict[str, dict[str, tuple[Callable[[], ad.AnnData], Expected]]] = {
    "scale": {
        **{
            f"{name} of {total:g}": (lambda f=function, t=total: cells(f(SHARES * t)), LOGGED)
            for total in (1e3, 1e4, 1e6, 777.5)
            for name, function in {
                "log1p": np.log1p,
                "log2": lambda values: np.log2(values + 1),
                "log10": lambda values: np.log10(values + 1),
                "sqrt": np.sqrt,
                "linear": lambda values: values,
            }.items()
        },
        **{
            f"{name}, genes left out": (
                lambda v=values: cells(v[:, :CUT], IDS[:CUT]),
                LOGGED[:, :CUT],
            )
            for name, values in {
                "log1p of 1e4": LOGGED,
                "log1p of 1e6": np.log1p(SHARES * 1e6),
                "log2 of 1e6": np.log2(SHARES * 1e6 + 1),
                "shares of 1e4": SHARES * 1e4,
            }.items()
        },
        "log1p of counts": (lambda: cells(np.log1p(COUNTS)), LOGGED),
        "soup": (lambda: cells(SOUP), np.log1p(SOUP / SOUP.sum(axis=1, keepdims=True) * 1e4)),
        "0 to 1 a gene": (lambda: cells(COUNTS / COUNTS.max(axis=0).clip(1)), "matrix-scale"),
        "centred": (lambda: cells(LOGGED - LOGGED.mean(axis=0)), "matrix-unusable"),
        "counts among logs": (lambda: cells(mixed(LOGGED, COUNTS)), "matrix-mixed"),
        "soup among logs": (lambda: cells(mixed(LOGGED, SOUP)), "matrix-mixed"),
        "log2 among logs": (
            lambda: cells(mixed(LOGGED, np.log2(SHARES * 1e6 + 1))),
            "matrix-mixed",
        ),
    },
    "part of the truth": {
        "counts of variable genes": (
            lambda: layered(COUNTS, LOGGED)[:, :CUT].copy(),
            LOGGED[:, :CUT],
        ),
        "and raw with all": (lambda: _with_raw(), LOGGED),
        "counts of all genes": (lambda: layered(COUNTS, LOGGED - 1), LOGGED),
        "a layer of logs called counts": (lambda: layered(LOGGED, COUNTS), LOGGED),
    },
    "features": {
        **{
            f"{one} and {other} in {column}": (
                lambda k=(one, other), c=column: with_antibodies(PANEL, k, c),
                LOGGED,
            )
            for one, other, column in [
                ("Gene Expression", "Antibody Capture", "feature_types"),
                ("gene expression", "antibody capture", "feature_types"),
                ("rna", "protein", "feature_types"),
                ("GEX", "ADT", "feature_type"),
                ("mRNA", "AB", "modality"),
                ("Gene Expression", "Multiplexing Capture", "feature_types"),
                ("gene", "CRISPR Guide Capture", "feature_types"),
            ]
        },
        "tags in the names": (
            lambda: with_antibodies([f"{name}_TotalSeqB" for name in PANEL], None, ""),
            LOGGED,
        ),
        "peaks among genes": (
            lambda: with_antibodies([f"chr1:{i}00-{i}99" for i in range(1, 30)], None, ""),
            LOGGED,
        ),
        "antibodies that nothing tells": (
            lambda: with_antibodies(PANEL, None, ""),
            "features-indistinct",
        ),
        "antibodies only": (
            lambda: cells(COUNTS[:, :12], PANEL, feature_types=["Antibody Capture"] * 12),
            "features-no-gene",
        ),
    },
    "names": {
        **{
            f"{before}X{behind}": (
                lambda a=before, b=behind: cells(names=[f"{a}{name}{b}" for name in IDS]),
                LOGGED,
            )
            for before in ("GRCh38_", "GRCh38---", "GRCh38-", "hg19_", "hg38.", "human:", "b'")
            for behind in ("'" if before == "b'" else "",)
        },
        "id and symbol": (
            lambda: cells(names=[f"{a}_{b}" for a, b in zip(IDS, SYMBOLS, strict=True)]),
            LOGGED,
        ),
        "symbol and id": (
            lambda: cells(names=[f"{b}|{a}.4" for a, b in zip(IDS, SYMBOLS, strict=True)]),
            LOGGED,
        ),
        "versions": (lambda: cells(names=[f"{name}.12" for name in IDS]), LOGGED),
        "numbers, ids in a column": (lambda: cells(names=range(GENES), gene=IDS), LOGGED),
        "numbers and nothing else": (lambda: cells(names=range(GENES)), "genes-unmatched"),
        "raw without names": (lambda: _raw_without_names(), LOGGED),
        "transposed": (lambda: cells().T.copy(), "matrix-transposed"),
        "mouse": (
            lambda: cells(names=[f"ENSMUSG{i:011d}" for i in range(GENES)]),
            "genes-unmatched",
        ),
        "a third of mouse cells": (lambda: mouse_too(0.34), "species"),
        "one mouse cell": (lambda: mouse_too(0.01), "species"),
    },
}


def _with_raw() -> ad.AnnData:
    cut = layered(COUNTS, LOGGED)[:, :CUT].copy()
    cut.raw = cells(LOGGED)
    return cut


def _raw_without_names() -> ad.AnnData:
    whole = cells(LOGGED)
    whole.raw = cells(COUNTS, list(range(GENES)))
    return whole


def through(door: str, path, made: ad.AnnData) -> ad.AnnData | str:
    """Return what a door makes of cells, or the rule by which it refuses them."""
    try:
        if door == "file":
            return standardise(read_cells(path), TABLE)[0]
        if door == "memory":
            return standardise(made, TABLE)[0]
        if door == "corpus":
            scan = scan_file(str(path), ReadingRules(cells_a_block=25))
            if scan.error is not None:
                return scan.error.rule
            with open_cells(path) as stored:
                return ad.concat(list(standard_blocks(stored, scan.form, 25)), merge="same")
        with open_cells(path) as stored:
            form = decide_stored_form(stored, TABLE, 25)
            return ad.concat(list(standard_blocks(stored, form, 25)), merge="same")
    except UserError as error:
        return error.rule


# Another total, prefix or word of the same kind is read by the same lines.
LIKE_OTHERS = re.compile(
    r"\w+ of (1000|1e\+06)|(GRCh38_|GRCh38---|hg19_|human:)X|(rna|mRNA|gene) and .*"
)


@pytest.mark.parametrize(
    ("kind", "variant"),
    [
        pytest.param(kind, name, marks=[pytest.mark.slow] * bool(LIKE_OTHERS.fullmatch(name)))
        for kind, names in VARIANTS.items()
        for name in names
    ],
)
def test_every_door_reads_or_refuses_alike(kind, variant, tmp_path):
    make, expected = VARIANTS[kind][variant]
    made, path = make(), tmp_path / "cells.h5ad"
    made.write_h5ad(path)
    doors = ["file", "memory", "corpus", "blocks"]
    if isinstance(expected, str):
        outcome = invoke("validate", str(path))
        assert outcome.exit_code == 2 and f"({expected})" in outcome.output
        assert all(word in outcome.output for word in ("found:", "expected:", "mend:"))
        if (
            expected == "matrix-transposed"
        ):  # refused by the catalog's check, before anything is read
            doors = ["blocks", "corpus"]
        assert {door: through(door, path, made) for door in doors} == dict.fromkeys(doors, expected)
        return
    ids = IDS[: expected.shape[1]]
    for door in doors:
        found = through(door, path, made)
        assert not isinstance(found, str), (door, found)
        # Symbols that lead to no gene are dropped; what is kept must be right.
        assert len(found.var_names) > 0.9 * len(ids)
        places = [ids.index(name) for name in found.var_names]
        np.testing.assert_allclose(
            found.X.toarray(), expected[:, places], rtol=3e-3, atol=2e-4, err_msg=door
        )


@pytest.mark.parametrize("kind", ["counts", "normalised", "log_normalised"])
def test_what_a_person_says_of_the_values_is_taken(kind, tmp_path):
    made, path = VARIANTS["scale"]["0 to 1 a gene"][0](), tmp_path / "cells.h5ad"
    made.write_h5ad(path)
    assert "--holds" in invoke("validate", path).output
    assert f"({kind})" in entered("validate", path, "--holds", kind).output
    assert scm.pp.validate(made, holds=kind)["expression"]["kind"] == kind
    corpus = scan_file(str(path), ReadingRules(holds=kind))
    assert corpus.error is None and corpus.form.kind == kind
    assert "(parameter-invalid)" in invoke("validate", path, "--holds", "logs").output
