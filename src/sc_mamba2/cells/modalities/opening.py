"""Open a MuData file, or one file per modality; modalities are given, or found from names or features."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anndata as ad
import h5py
import mudata

from sc_mamba2.cells.modalities.kinds import (
    MODALITIES,
    RNA,
    columns_of_modality,
    modalities_of_features,
    modality_of_name,
    modality_of_names,
)
from sc_mamba2.cells.readers import NAMED, detect_format, read_cells, reading
from sc_mamba2.cells.readers.h5mu import add_joint_columns
from sc_mamba2.cells.readers.memory import check_memory, stored_bytes
from sc_mamba2.cells.simulate_pairs import SIMULATED_PAIRS
from sc_mamba2.errors import UserError, nearest

Modalities = dict[str, ad.AnnData]
_log = logging.getLogger(__name__)


def read_modalities(sources: list[str], rna_alone: bool = False) -> Modalities:
    """Read several modalities of the same cells.

    Parameters
    ----------
    sources
        One `.h5mu` file, or one file of cells per modality, or a name in `SIMULATED_PAIRS`. A file may be
        given as ``protein=FILE``, and only that modality is then read from it; otherwise its modality is
        found from ``var["feature_types"]``, the file's name or the features' names, and a file with
        several modalities is split.
    rna_alone
        Whether RNA alone is enough: for a trained model, which predicts the rest.

    Returns
    -------
    dict
        Cells as stored, by modality: ``rna`` first, then ``protein``, ``atac``.

    Raises
    ------
    UserError
        Rules ``modality-unknown``, ``modality-duplicate``, ``modality-missing``, ``modality-one``,
        ``modality-other``, and those of `read_cells` and of `feature_kinds`.
    """
    found: Modalities = {}
    for source in sources:
        for kind, cells in _read(source).items():
            if kind in found:
                raise UserError(
                    "modality-duplicate",
                    found=f"two tables of the modality '{kind}'",
                    expected="one of each",
                    mend="remove one, or specify each: rna=FILE protein=FILE",
                )
            found[kind] = cells
    return _checked(found, rna_alone)


@contextmanager
def quiet_mudata() -> Iterator[None]:
    """Keep MuData from copying columns between its tables, and from warnings that nobody can act on.

    A protein may have the name of a gene: names need to be unique only within a modality.
    """
    # As a context manager it would log through the root logger, and configure that for the whole process.
    before = mudata.set_options(pull_on_update=False).opts
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*var_names.*", category=UserWarning)
            warnings.filterwarnings("ignore", category=FutureWarning, module="mudata")
            yield
    finally:
        mudata.set_options(**before)


def read_mudata(path: Path) -> mudata.MuData:
    """Load a whole MuData file; rules of `detect_format`, and ``file-damaged``."""
    if detect_format(path) != "h5mu":
        raise UserError(
            "file-format",
            found=f"'{path.name}' is not a MuData file",
            expected="a .h5mu file",
            mend="write it with mdata.write_h5mu()",
        )
    with h5py.File(path, "r") as file:
        check_memory(stored_bytes(file), path)
    with reading(path), quiet_mudata():
        return mudata.read_h5mu(path)


def _read(source: str) -> Modalities:
    modality, equals, place = source.partition("=")
    if equals and "/" not in modality:
        if modality not in MODALITIES:
            raise _unknown(f"the modality '{modality}'", nearest(modality, MODALITIES))
        return {modality: _read_modality(modality, place)}
    if source in SIMULATED_PAIRS:
        return SIMULATED_PAIRS[source]()
    path = Path(source)
    if _is_mudata(source):
        return _of_mudata(read_mudata(path), path.name)
    return _of_cells(read_cells(source), path.stem)


def _read_modality(kind: str, source: str) -> ad.AnnData:
    """Read only the modality that the user says a file holds."""
    if _is_mudata(source):
        held = _of_mudata(read_mudata(Path(source)), Path(source).name)
        if kind in held:
            return held[kind]
        names = ", ".join(held)
    else:
        cells = read_cells(source)
        columns = columns_of_modality(cells.var, kind)
        if len(columns) == cells.n_vars:
            return cells
        if len(columns):
            return cells[:, columns].copy()
        names = ", ".join(modalities_of_features(cells.var))
    given = f"; it is given as {names}=FILE" if names in MODALITIES else ""
    raise UserError(
        "modality-other",
        found=f"'{Path(source).name}', whose features are {names or 'of other kinds'}",
        expected=kind,
        mend=f'give another file, or correct var["feature_types"] in this one{given}',
    )


def _is_mudata(source: str) -> bool:
    return not source.startswith(NAMED) and detect_format(Path(source)) == "h5mu"


def take_modalities(together: mudata.MuData, rna_alone: bool = False) -> Modalities:
    """Like `read_modalities`, for copies from a MuData in memory."""
    return _checked(_of_mudata(together, "the MuData"), rna_alone)


def kinds_of_tables(together: mudata.MuData) -> dict[str, str]:
    """Return the name of the first MuData table of each modality."""
    found: dict[str, str] = {}
    for name, cells in together.mod.items():
        kind = modality_of_name(name) or _kind_of(cells)
        if kind is not None:
            found.setdefault(kind, name)
    return found


def _of_mudata(together: mudata.MuData, name: str) -> Modalities:
    found: Modalities = {}
    for kind, own_name in kinds_of_tables(together).items():
        found[kind] = together.mod[own_name].copy()
        add_joint_columns(found[kind], together.obs, together.mod)
    if not found:
        raise _unknown(f"modalities named {', '.join(together.mod) or 'nothing'} in {name}")
    return found


def _of_cells(cells: ad.AnnData, name: str) -> Modalities:
    parts = modalities_of_features(cells.var, name)
    if len(parts) > 1:
        return {kind: cells[:, columns].copy() for kind, columns in parts.items()}
    kind = _kind_of(cells, name) or modality_of_name(name)
    if kind in parts and kind != RNA and (aside := cells.n_vars - len(parts[kind])):
        _log.warning(
            "'%s': %d features that are not %s are left out, such as tags", name, aside, kind
        )
        return {kind: cells[:, parts[kind]].copy()}
    if kind is None:
        raise _unknown(f"'{name}', whose features are called {', '.join(cells.var_names[:3])}, …")
    return {kind: cells}


def _kind_of(cells: ad.AnnData, name: str = "") -> str | None:
    parts = modalities_of_features(cells.var, name)
    return next(iter(parts)) if len(parts) == 1 else modality_of_names(cells.var_names)


def _checked(found: Modalities, rna_alone: bool) -> Modalities:
    """Return the modalities in their order; refuse a set that is not enough."""
    if RNA not in found:
        raise UserError(
            "modality-missing",
            found=f"the modalities {', '.join(found)}",
            expected="rna, together with protein or atac",
            mend="also give the RNA of the cells: rna=FILE",
        )
    if len(found) == 1 and not rna_alone:
        raise UserError(
            "modality-one",
            found="only rna",
            expected="at least two modalities",
            mend="add protein=FILE or atac=FILE; for RNA alone use scm embed or scm integrate",
        )
    return {kind: found[kind] for kind in MODALITIES if kind in found}


def _unknown(found: str, hint: str = "") -> UserError:
    return UserError(
        "modality-unknown",
        found=found,
        expected=f"one of {', '.join(MODALITIES)}",
        mend="specify it: rna=FILE, protein=FILE or atac=FILE" + hint,
    )
