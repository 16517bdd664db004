"""Every named case of bad input that `tests/commands` lacks: what is written, what is typed, which rule."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import h5py
import mudata
import numpy as np
import pandas as pd
import safetensors.torch
import torch
from anndata import AnnData
from scipy import sparse
from tests.released import random_state, write_release

from sc_mamba2.cells import simulate_cells, simulate_perturbed
from sc_mamba2.cells.simulate_pairs import simulate_rna_atac, simulate_rna_protein
from sc_mamba2.model.folder import checkpoint_folder

Words = Callable[[Path], list[object]]


@dataclass(frozen=True)
class Case:
    """A case: words of the command in a folder that it fills, and the rule that refuses them."""

    name: str
    words: Words
    rule: str


CASES: list[Case] = []


def case(name: str, rule: str, words: Words) -> None:
    assert name not in {one.name for one in CASES}, name
    CASES.append(Case(name, words, rule))


# ---- files of cells, by `scm validate`


def cells_file(folder: Path, change: Callable[[AnnData], AnnData | None] = lambda c: c) -> Path:
    cells = simulate_cells(60, 200)
    path = folder / "cells.h5ad"
    (change(cells) or cells).write_h5ad(path)
    return path


def validated(change: Callable[[AnnData], AnnData | None], *more: object) -> Words:
    return lambda folder: ["validate", cells_file(folder, change), *more]


def damaged(change: Callable[[Path], object]) -> Words:
    def words(folder: Path) -> list[object]:
        path = cells_file(folder)
        change(path)
        return ["validate", path]

    return words


def inside(change: Callable[[h5py.File], object]) -> Words:
    def damage(path: Path) -> None:
        with h5py.File(path, "r+") as file:
            change(file)

    return damaged(damage)


def with_x(make: Callable[[np.ndarray], object], *more: object) -> Words:
    return validated(lambda c: AnnData(X=make(c.X.toarray()), obs=c.obs, var=c.var), *more)


def cut(share: float) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(
        path.read_bytes()[: round(share * (path.stat().st_size - 1))]
    )


for percent in (1, 10, 25, 50, 75, 90, 99):
    case(f"file: cut at {percent} %", "file-damaged", damaged(cut(percent / 100)))
case(
    "file: cut behind the signature",
    "file-damaged",
    damaged(lambda p: p.write_bytes(p.read_bytes()[:8])),
)
case("file: zeros", "file-format", damaged(lambda p: p.write_bytes(bytes(4096))))
case(
    "file: a picture",
    "file-format",
    damaged(lambda p: p.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(99))),
)
case("file: a zip", "file-format", damaged(lambda p: p.write_bytes(b"PK\x03\x04" + bytes(99))))
case("file: HDF5 of other things", "file-format", damaged(lambda p: h5py.File(p, "w").close()))
case("file: a folder of nothing", "file-is-folder", lambda f: ["validate", f])
case(
    "file: a broken link",
    "file-missing",
    lambda f: [(f / "link").symlink_to(f / "gone"), "validate", f / "link"][1:],
)
case(
    "file: obs is no table",
    "file-damaged",
    inside(lambda f: [f.__delitem__("obs"), f.create_dataset("obs", data=1)]),
)
case("file: var is gone", "file-format", inside(lambda f: f.__delitem__("var")))
case(
    "file: a column of obs too short",
    "file-damaged",
    inside(
        lambda f: [
            f.__delitem__("obs/batch/codes"),
            f["obs/batch"].create_dataset("codes", data=np.zeros(3, "i1")),
        ]
    ),
)
case(
    "file: codes beyond the categories",
    "file-damaged",
    inside(lambda f: f["obs/cell_type/codes"].__setitem__(0, 99)),
)
case(
    "file: a soft link to nothing",
    "file-damaged",
    inside(lambda f: f["uns"].__setitem__("x", h5py.SoftLink("/gone"))),
)
case(
    "file: values in another file",
    "file-external-link",
    inside(lambda f: f.create_dataset("layers/x", (4,), "i4", external=[("/etc/hostname", 0, 16)])),
)
case("file: a virtual layer", "file-external-link", inside(lambda f: virtual(f)))
case(
    "file: a legacy layout without X",
    "file-no-matrix",
    inside(lambda f: [f.__delitem__("X"), f.attrs.clear()]),
)


def virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((4,), "i4")
    layout[:] = h5py.VirtualSource("other.h5", "x", (4,))
    file.create_virtual_dataset("layers/v", layout)


def zarr_folder(change: Callable[[Path], object]) -> Words:
    def words(folder: Path) -> list[object]:
        simulate_cells(60, 200).write_zarr(folder / "cells.zarr")
        change(folder / "cells.zarr")
        return ["validate", folder / "cells.zarr"]

    return words


def chunk_of(array: str) -> Callable[[Path], object]:
    return lambda path: next(
        one
        for one in sorted((path / array).rglob("*"))
        if one.is_file() and not one.name.startswith((".", "zarr"))
    )


case(
    "zarr: a chunk of the matrix is gone",
    "zarr-chunk-missing",
    zarr_folder(lambda p: chunk_of("X/data")(p).unlink()),
)
case("zarr: a chunk is cut", "file-damaged", zarr_folder(lambda p: cut(0.5)(chunk_of("X/data")(p))))
case(
    "zarr: names of cells are gone",
    "zarr-chunk-missing",
    zarr_folder(lambda p: chunk_of("obs/_index")(p).unlink()),
)
case("zarr: no obs", "zarr-chunk-missing", zarr_folder(lambda p: shutil.rmtree(p / "obs")))
case("zarr: no X", "zarr-chunk-missing", zarr_folder(lambda p: shutil.rmtree(p / "X")))
case(
    "zarr: a link out of the folder",
    "file-external-link",
    zarr_folder(lambda p: (p / "X" / "out").symlink_to("/etc/hostname")),
)
case(
    "zarr: its metadata is text",
    "file-damaged",
    zarr_folder(lambda p: [m.write_text("no") for m in p.glob(".z*")]),
)


def mtx(change: Callable[[Path], object]) -> Words:
    def words(folder: Path) -> list[object]:
        from scipy import io

        cells, at = simulate_cells(30, 120), folder / "mtx"
        at.mkdir()
        io.mmwrite(at / "matrix.mtx", cells.X.T)
        (at / "barcodes.tsv").write_text("\n".join(cells.obs_names) + "\n")
        (at / "genes.tsv").write_text("\n".join(f"{n}\t{n}" for n in cells.var_names) + "\n")
        change(at)
        return ["validate", at]

    return words


case("mtx: no barcodes", "folder-incomplete", mtx(lambda p: (p / "barcodes.tsv").unlink()))
case(
    "mtx: a barcode too few",
    "matrix-layout",
    mtx(lambda p: (p / "barcodes.tsv").write_text("a\nb\n")),
)
case("mtx: cut", "matrix-layout", mtx(lambda p: cut(0.5)(p / "matrix.mtx")))
case(
    "mtx: no matrix market",
    "file-damaged",
    mtx(lambda p: (p / "matrix.mtx").write_text("gene,cell\n")),
)
case(
    "mtx: two matrices",
    "folder-ambiguous",
    mtx(lambda p: shutil.copy(p / "matrix.mtx", p / "b_matrix.mtx")),
)

# ---- the matrix
case(
    "matrix: text",
    "matrix-unusable",
    inside(
        lambda f: [
            f.__delitem__("X"),
            f.create_dataset("X", data=np.full((60, 200), b"a")),
            f["X"].attrs.update({"encoding-type": "string-array", "encoding-version": "0.2.0"}),
        ]
    ),
)
case("matrix: complex numbers", "matrix-unusable", with_x(lambda x: x.astype(np.complex64)))
case("matrix: negative counts", "matrix-unusable", with_x(lambda x: -x))
case(
    "matrix: one NaN",
    "matrix-unusable",
    with_x(lambda x: np.where(np.arange(x.size).reshape(x.shape) == 7, np.nan, x)),
)
case("matrix: minus infinity", "matrix-unusable", with_x(lambda x: np.where(x > 3, -np.inf, x)))
case("matrix: beyond float32", "matrix-unusable", with_x(lambda x: x.astype(float) * 1e300))
case(
    "matrix: from 0 to 1 a gene",
    "matrix-scale",
    with_x(lambda x: (x + np.random.default_rng(0).random(x.shape)) / (x.max(0) + 1)),
)
case(
    "matrix: two scales",
    "matrix-mixed",
    with_x(lambda x: np.vstack([x[:30], np.log1p(1e4 * x[30:] / x[30:].sum(1, keepdims=True))])),
)
case(
    "matrix: logarithms as whole hundredths",
    "matrix-scale",
    with_x(lambda x: np.rint(100 * np.log1p(1e4 * x / x.sum(1, keepdims=True)))),
)
case(
    "matrix: over the deviation of each gene, not centred",
    "matrix-scale",
    with_x(lambda x: (y := np.log1p(1e4 * x / x.sum(1, keepdims=True))) / (y.std(0) + 1e-3)),
)
case("matrix: one added to all", "matrix-scale", with_x(lambda x: x + 1))
case(
    "matrix: 50 bins a cell",
    "matrix-scale",
    with_x(lambda x: np.ceil(50 * x.argsort(1).argsort(1) / (x.shape[1] - 1)) * (x > 0)),
)
case(
    "matrix: counts in another order of genes than X",
    "matrix-apart",
    validated(
        lambda c: AnnData(
            X=np.log1p(1e4 * (y := (c.X.toarray() - 4).clip(0)) / (y.sum(1, keepdims=True) + 1e-9)),
            obs=c.obs,
            var=c.var,
            layers={"counts": y[:, ::-1].copy()},
        )
    ),
)
case(
    "matrix: rows and table apart",
    "matrix-layout",
    inside(lambda f: f["X"].attrs.__setitem__("shape", np.array([59, 200]))),
)
case(
    "matrix: negative side",
    "matrix-layout",
    inside(lambda f: f["X"].attrs.__setitem__("shape", np.array([-60, 200]))),
)
case("matrix: negative index", "matrix-layout", inside(lambda f: f["X/indices"].__setitem__(3, -1)))
case(
    "matrix: pointers begin at 1",
    "matrix-layout",
    inside(lambda f: f["X/indptr"].__setitem__(0, 1)),
)
case(
    "matrix: values cut",
    "matrix-layout",
    inside(
        lambda f: [f.__delitem__("X/data"), f["X"].create_dataset("data", data=np.ones(5, "f4"))]
    ),
)
case("matrix: layer is not there", "layer-missing", validated(lambda c: c, "--layer", "cuonts"))

# ---- genes


def genes(make: Callable[[int, str], str], *more: object) -> Words:
    def change(cells: AnnData) -> AnnData:
        names = [make(n, name) for n, name in enumerate(cells.var_names)]
        return AnnData(X=cells.X, obs=cells.obs, var=pd.DataFrame(index=names))

    return validated(change, *more)


case("genes: numbers", "genes-unmatched", genes(lambda n, name: str(n)))
case("genes: all empty", "genes-names", genes(lambda n, name: ""))
case("genes: one name for all", "features-indistinct", genes(lambda n, name: "CD4"))
case("genes: mouse symbols", "genes-unmatched", genes(lambda n, name: name.capitalize()))
case("genes: made up ids", "genes-matched", genes(lambda n, name: f"ENSG{n:011d}"))
case("genes: 40 % matched", "genes-matched", genes(lambda n, name: name if n < 80 else f"x{n}"))
case("genes: human read as mouse", "genes-unmatched", validated(lambda c: c, "--species", "mouse"))
case(
    "genes: antibodies alone",
    "features-no-gene",
    validated(lambda c: c.var.__setitem__("feature_types", "Antibody Capture")),
)
case(
    "genes: symbols beside the ids of other genes",
    "genes-conflict",
    validated(lambda c: c.var.__setitem__("symbol", list(c.var["symbol"])[::-1])),
)
case("genes: fewer than the least", "genes-matched", validated(lambda c: c[:, :20].copy()))

# ---- cells and labels


def annotated(change: Callable[[AnnData], AnnData | None], *more: object) -> Words:
    return lambda folder: [
        "annotate",
        "-r",
        cells_file(folder, change),
        "-k",
        "cell_type",
        "-o",
        folder / "out.h5ad",
        *more,
    ]


def labels(make: Callable[[int], object]) -> Words:
    return annotated(lambda c: c.obs.__setitem__("cell_type", [make(n) for n in range(c.n_obs)]))


case(
    "cells: a name is missing",
    "cells-names",
    validated(lambda c: setattr(c, "obs_names", ["", *c.obs_names[1:]])),
)
case(
    "cells: two have one name",
    "cells-names",
    validated(lambda c: setattr(c, "obs_names", [c.obs_names[1], *c.obs_names[1:]])),
)
case(
    "labels: words of absence alone",
    "label-empty",
    labels(lambda n: ("nan", "Unknown", "NA")[n % 3]),
)
case(
    "labels: one type and absence", "label-one-class", labels(lambda n: ("T", "unassigned")[n % 2])
)
case("labels: numbers with decimals", "label-numeric", labels(lambda n: n % 3 + 0.5))
case(
    "labels: no such column, a near one",
    "label-missing",
    annotated(lambda c: c.obs.rename(columns={"cell_type": "celltype"}, inplace=True)),
)
case(
    "labels: a column of the query",
    "label-missing",
    lambda f: [
        "annotate",
        cells_file(f),
        "-r",
        f / "cells.h5ad",
        "-k",
        "cell_type",
        "-o",
        f / "out.h5ad",
        "--params",
        "annotation.labels.query_key=nothing",
    ],
)
case(
    "batches: no such column",
    "batch-missing",
    lambda f: ["integrate", cells_file(f), "-b", "bacth", "-o", f / "out.h5ad"],
)
case(
    "batches: one",
    "batch-one",
    lambda f: [
        "integrate",
        cells_file(f, lambda c: c.obs.__setitem__("batch", "a")),
        "-b",
        "batch",
        "-o",
        f / "out.h5ad",
    ],
)
case(
    "batches: of one cell",
    "batch-small",
    lambda f: [
        "integrate",
        cells_file(f, lambda c: c.obs.__setitem__("batch", ["a"] * 59 + ["b"])),
        "-b",
        "batch",
        "-o",
        f / "out.h5ad",
    ],
)
case(
    "batches: some are missing",
    "batch-incomplete",
    lambda f: [
        "integrate",
        cells_file(f, lambda c: c.obs.__setitem__("batch", ["a"] * 29 + ["b"] * 30 + [None])),
        "-b",
        "batch",
        "-o",
        f / "out.h5ad",
    ],
)
case(
    "denoise: no counts",
    "denoise-counts",
    lambda f: [
        "denoise",
        cells_file(
            f,
            lambda c: AnnData(
                X=sparse.csr_matrix(
                    np.log1p(1e4 * c.X.toarray() / c.X.toarray().sum(1, keepdims=True))
                ),
                obs=c.obs,
                var=c.var,
            ),
        ),
        "-o",
        f / "out.h5ad",
    ],
)
case(
    "denoise: nine cells",
    "denoise-cells",
    lambda f: ["denoise", cells_file(f, lambda c: c[:9].copy()), "-o", f / "out.h5ad"],
)

# ---- several modalities


def joint(change: Callable[[dict[str, AnnData]], object], atac: bool = False) -> Words:
    def words(folder: Path) -> list[object]:
        parts = simulate_rna_atac(60, 100, 120, 40, 40) if atac else simulate_rna_protein(60, 100)
        change(parts)
        files = []
        for kind, part in parts.items():
            part.write_h5ad(folder / f"{kind}.h5ad")
            files.append(f"{kind}={folder / kind}.h5ad")
        return ["multiome", *files, "-o", folder / "out.h5mu"]

    return words


def renamed(part: AnnData) -> None:
    part.obs_names = [f"other {n}" for n in range(part.n_obs)]


case("joint: no cell in both", "cells-disjoint", joint(lambda p: renamed(p["protein"])))
case("joint: RNA alone", "modality-one", joint(lambda p: p.pop("protein")))
case("joint: no RNA", "modality-missing", joint(lambda p: p.pop("rna")))
case(
    "joint: negative proteins",
    "protein-negative",
    joint(lambda p: p["protein"].X.data.__setitem__(0, -1)),
)
case(
    "joint: proteins that are NaN",
    "protein-values",
    joint(lambda p: p["protein"].X.data.__setitem__(0, np.nan)),
)
case(
    "joint: a protein twice",
    "features-duplicate",
    joint(lambda p: setattr(p["protein"], "var_names", ["CD3"] * p["protein"].n_vars)),
)
case(
    "joint: peaks without coordinates",
    "peaks-names",
    joint(
        lambda p: setattr(p["atac"], "var_names", [f"peak {n}" for n in range(p["atac"].n_vars)]),
        atac=True,
    ),
)
case(
    "joint: peaks on no chromosome",
    "peaks-contigs",
    joint(
        lambda p: setattr(
            p["atac"],
            "var_names",
            [f"chrZ:{n * 900}-{n * 900 + 500}" for n in range(p["atac"].n_vars)],
        ),
        atac=True,
    ),
)
case(
    "joint: a modality that is none",
    "modality-unknown",
    lambda f: [
        "multiome",
        f"rna={cells_file(f)}",
        f"proteome={f / 'cells.h5ad'}",
        "-o",
        f / "out.h5mu",
    ],
)
case(
    "joint: the same file twice",
    "modality-duplicate",
    lambda f: ["multiome", f"rna={cells_file(f)}", f"rna={f / 'cells.h5ad'}", "-o", f / "out.h5mu"],
)
case(
    "joint: a MuData without RNA",
    "modality-missing",
    lambda f: [
        mudata.MuData({"protein": simulate_rna_protein(40, 80)["protein"]}).write_h5mu(
            f / "a.h5mu"
        ),
        "multiome",
        f / "a.h5mu",
        "-o",
        f / "out.h5mu",
    ][1:],
)

# ---- perturbations


def perturbed(
    change: Callable[[pd.DataFrame], object], asked: str = "STAT1", *more: object
) -> Words:
    def words(folder: Path) -> list[object]:
        cells = simulate_perturbed(cells=20, genes=80, targets=6, pairs=1)
        cells.obs["perturbation"] = cells.obs["perturbation"].astype(str)
        change(cells.obs)
        cells.write_h5ad(folder / "cells.h5ad")
        return ["perturb", folder / "cells.h5ad", "-p", asked, "-o", folder / "out.h5ad", *more]

    return words


def spelled(word: str) -> Callable[[pd.DataFrame], object]:
    return lambda obs: obs.__setitem__("perturbation", obs["perturbation"].replace("control", word))


case("perturbation: no control", "control-missing", perturbed(spelled("baseline")))
case(
    "perturbation: control misspelt",
    "control-missing",
    perturbed(lambda obs: None, "STAT1", "--control", "contrl"),
)
case(
    "perturbation: no such column",
    "perturbation-missing",
    perturbed(lambda obs: None, "STAT1", "-k", "perturbations"),
)
case(
    "perturbation: control alone",
    "perturbation-none",
    perturbed(lambda obs: obs.__setitem__("perturbation", "control")),
)
case(
    "perturbation: not in the vocabulary",
    "perturbation-unknown",
    perturbed(lambda obs: None, "NOGENE1"),
)
case(
    "perturbation: nothing behind the plus",
    "perturbation-name",
    perturbed(lambda obs: None, "STAT1+"),
)
case(
    "perturbation: no such context",
    "context-missing",
    perturbed(lambda obs: None, "STAT1", "--context-key", "tissue"),
)
case(
    "perturbation: features that are not there",
    "feature-file",
    perturbed(lambda obs: None, "STAT1", "--perturbation-features", "none.csv"),
)
case(
    "perturbation: held out twice",
    "split-name",
    perturbed(lambda obs: None, "STAT1", "--params", "perturbation.split.held_out=[NOBODY]"),
)
case(
    "perturbation: a split of other words",
    "split-column",
    perturbed(
        lambda obs: obs.__setitem__("part", "maybe"),
        "STAT1",
        "--params",
        "perturbation.split.key=part",
    ),
)

# ---- parameters and places


def given(*words: object) -> Words:
    return annotated(lambda c: None, *words)


for name, text, rule in (
    ("zero batch", "annotation.predict.batch_size=0", "parameter-invalid"),
    ("share above 1", "annotation.labels.test_share=2", "parameter-invalid"),
    ("text for a number", "compute.seed=abc", "parameter-invalid"),
    ("negative seed", "compute.seed=-1", "parameter-invalid"),
    ("a list for a number", "compute.seed=[1]", "parameter-invalid"),
    ("unknown group", "anotation.labels.key=x", "parameter-unknown"),
    ("unknown device", "compute.device=tpu", "parameter-invalid"),
    ("open bracket", "annotation.head.paths=[trunk", "params-syntax"),
    ("a head of no preset", "annotation.backbone.head_dim=7", "parameter-unknown"),
):  # fmt: skip
    case(f"parameter: {name}", rule, given("--params", text))
case(
    "place: a run by a path",
    "run-name",
    lambda f: [
        (f / "pyproject.toml").write_text('[tool.kedro]\npackage_name = "sc_mamba2"\n'),
        "rerun",
        "../../etc",
    ][1:],
)
case(
    "place: output in a file",
    "output-folder",
    lambda f: [
        "annotate",
        "-r",
        cells_file(f),
        "-k",
        "cell_type",
        "-o",
        f / "cells.h5ad" / "out.h5ad",
    ],
)
case(
    "place: output over the reference",
    "output-is-input",
    lambda f: [
        "annotate",
        "-r",
        cells_file(f),
        "-k",
        "cell_type",
        "-o",
        f / "cells.h5ad",
        "--force",
    ],
)
case(
    "place: a data set by a path",
    "data-name",
    lambda f: ["annotate", "-r", "data:../../x", "-k", "cell_type", "-o", f / "out.h5ad"],
)

# ---- weights


def weights(change: Callable[[Path], object]) -> Words:
    def words(folder: Path) -> list[object]:
        shutil.copytree(checkpoint_folder("scm-tiny"), folder / "model")
        change(folder / "model")
        return ["embed", cells_file(folder), "-c", folder / "model", "-o", folder / "out.h5ad"]

    return words


def again(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    """Change the tensors, and the manifest with them: as somebody would who means to."""
    from sc_mamba2.model.manifest import write_manifest

    tensors = safetensors.torch.load_file(folder / "model.safetensors")
    change(tensors)
    safetensors.torch.save_file(tensors, folder / "model.safetensors")
    (folder / "manifest.json").unlink()
    write_manifest(folder)


def first(tensors: dict[str, torch.Tensor]) -> str:
    return sorted(tensors)[0]


case(
    "weights: no folder",
    "checkpoint-folder",
    lambda f: ["embed", cells_file(f), "-c", f / "none", "-o", f / "out.h5ad"],
)
for part in ("config.json", "vocabulary.json", "model.safetensors", "manifest.json"):
    case(
        f"weights: no {part}", "checkpoint-file", weights(lambda p, part=part: (p / part).unlink())
    )
for part in ("config.json", "vocabulary.json", "model.safetensors"):
    case(
        f"weights: {part} cut",
        "checkpoint-sha256",
        weights(lambda p, part=part: cut(0.7)(p / part)),
    )
case(
    "weights: the header lies",
    "checkpoint-sha256",
    weights(
        lambda p: (p / "model.safetensors").write_bytes(
            b"\xff" * 8 + (p / "model.safetensors").read_bytes()[8:]
        )
    ),
)
case(
    "weights: NaN",
    "checkpoint-state",
    weights(lambda p: again(p, lambda t: t[first(t)].view(-1).__setitem__(0, float("nan")))),
)
case(
    "weights: a tensor is missing",
    "checkpoint-state",
    weights(lambda p: again(p, lambda t: t.pop(first(t)))),
)
case(
    "weights: a tensor too many",
    "checkpoint-state",
    weights(lambda p: again(p, lambda t: t.__setitem__("backbone.extra", torch.ones(2)))),
)
case(
    "weights: a tensor renamed",
    "checkpoint-state",
    weights(lambda p: again(p, lambda t: t.__setitem__("other", t.pop(first(t))))),
)
case(
    "weights: a tensor of another shape",
    "checkpoint-state",
    weights(lambda p: again(p, lambda t: t.__setitem__(first(t), torch.ones(2, 3)))),
)
case(
    "weights: of another task",
    "checkpoint-task",
    lambda f: [
        "annotate",
        cells_file(f),
        "-c",
        checkpoint_folder("scm-tiny"),
        "-o",
        f / "out.h5ad",
    ],
)
case("released: no files", "upstream-folder", lambda f: ["import-weights", f, "-o", f / "out"])
case(
    "released: cut",
    "upstream-damaged",
    lambda f: [
        cut(0.5)(write_release(f / "r") / "best_model.pt"),
        "import-weights",
        f / "r",
        "-o",
        f / "out",
    ][1:],
)
case(
    "released: a tensor is missing",
    "upstream-tensors",
    lambda f: [
        write_release(f / "r", state=dict(list(random_state().items())[1:])),
        "import-weights",
        f / "r",
        "-o",
        f / "out",
    ][1:],
)
