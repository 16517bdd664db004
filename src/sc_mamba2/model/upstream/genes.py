"""Map the released vocabulary's symbols to Ensembl ids, row by row. No row is moved, merged or dropped."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from sc_mamba2.errors import UserError
from sc_mamba2.genes import GeneMapping, GeneTable, Vocabulary, map_genes
from sc_mamba2.genes.vocabulary import CLS, PAD, is_special

_LISTED = 8


def released_vocabulary(
    names: Mapping[str, Any], rows: int, table: GeneTable
) -> tuple[Vocabulary, dict[str, Any]]:
    """Convert a released vocabulary to ours.

    Parameters
    ----------
    names
        Symbol, Ensembl id or special token (`<…>`) to row.
    rows
        Rows of the embedding, V. Those missing from `names` become `<unnamed-ROW>`.
    table
        Genes to map to.

    Returns
    -------
    tuple
        The vocabulary: every row keeps its name as its symbol; its id is the Ensembl id, or the name
        itself if there is none or another row has that id (a row named by the id takes precedence, then
        the first). And the JSON-serialisable report: `genes` = `matched` + `duplicate` + `ambiguous` +
        `retired` + `unknown`; `matched_by_alias` of the matched; `unnamed_rows`; examples of unmapped
        names.

    Raises
    ------
    UserError
        Rule `upstream-vocabulary`: a row that is not an integer, is used twice or is not in the
        embedding, an unprintable or empty name, or no `<pad>` or `<cls>`.
    """
    symbols = _by_row(names, rows)
    genes = [row for row, name in enumerate(symbols) if not is_special(name)]
    mapping = map_genes([symbols[row] for row in genes], table)
    ids, taken = list(symbols), _owners(mapping)
    for place, row in enumerate(genes):
        if taken.get(mapping.ensembl_ids[place]) == place:
            ids[row] = mapping.ensembl_ids[place]
    report = {**_report(mapping, taken), "unnamed_rows": rows - len(names)}
    return Vocabulary(f"released-{rows}", tuple(ids), tuple(symbols)), report


def _by_row(names: Mapping[str, Any], rows: int) -> list[str]:
    wrong = [
        name
        for name, row in names.items()
        if type(row) is not int or not 0 <= row < rows or not name.isprintable()
    ]
    if wrong:
        raise _refuse(
            f"{wrong[0]!r:.80} at row {names[wrong[0]]!r:.80}",
            f"printable names at rows 0 to {rows - 1}, as encoder.embedding.weight has",
        )
    if "" in names:
        raise _refuse(f"an empty name at row {names['']}", "a name for each row")
    if missing := [special for special in (PAD, CLS) if special not in names]:
        raise _refuse(f"no {' and no '.join(missing)}", f"{PAD} and {CLS}")
    symbols: list[str] = [""] * rows
    for name, row in names.items():
        if symbols[row]:
            raise _refuse(f"'{symbols[row]}' and '{name}' at row {row}", "a row for each name")
        symbols[row] = name
    symbols = [name or f"<unnamed-{row}>" for row, name in enumerate(symbols)]
    if len(set(symbols)) != rows:
        raise _refuse("a name of the form <unnamed-ROW>", "names of genes and special tokens")
    return symbols


def _owners(mapping: GeneMapping) -> dict[str, int]:
    """Assign each Ensembl id to one name: the id itself if present, else the first."""
    owners = {
        ident: place
        for place, (name, ident) in enumerate(zip(mapping.names, mapping.ensembl_ids, strict=True))
        if name == ident
    }
    for place, ident in enumerate(mapping.ensembl_ids):
        if ident:
            owners.setdefault(ident, place)
    return owners


def _report(mapping: GeneMapping, owners: Mapping[str, int]) -> dict[str, Any]:
    counts = mapping.counts()
    owning = np.array(sorted(owners.values()), dtype=np.int64)
    status = mapping.status[owning]
    doubled = sorted(set(np.flatnonzero(mapping.rows >= 0)) - set(owning.tolist()))
    unknown = mapping.examples("unknown_symbol", _LISTED)
    return {
        "genes": counts["total"],
        "matched": len(owners),
        "matched_by_alias": int(np.isin(status, ["alias_id", "alias_symbol"]).sum()),
        **{name: counts[name] for name in ("duplicate", "ambiguous", "retired", "unknown")},
        "examples": {
            "duplicate": [mapping.names[place] for place in doubled[:_LISTED]],
            "ambiguous": mapping.examples("ambiguous", _LISTED),
            "retired": mapping.examples("retired", _LISTED),
            "unknown": (unknown + mapping.examples("unknown_id", _LISTED))[:_LISTED],
        },
    }


def _refuse(found: str, expected: str) -> UserError:
    return UserError(
        "upstream-vocabulary",
        found=f"{found} in vocab.json",
        expected=expected,
        mend="use vocab.json and best_model.pt of the same released folder",
    )
