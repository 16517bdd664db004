"""Convert any AnnData to the standard form that all other code reads.

Standard form: `X` log-normalised float32 CSR, `layers["counts"]` where counts were found, genes by
Ensembl id in the gene table's order, `obs` untouched, source and kind of the expression in `uns["scm"]`.
What is decided once per file (`StandardForm`) is separate from the cells, so that a file can be read in
blocks (`cells.blocks`).
"""

from dataclasses import asdict, dataclass
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
from scipy import sparse

from sc_mamba2.cells import keys
from sc_mamba2.cells.expression import Expression, choose_expression, clean_matrix
from sc_mamba2.cells.features import features_set_aside
from sc_mamba2.cells.gene_columns import GeneNames, columns_to_keep, no_gene_matched
from sc_mamba2.cells.keys import Kind
from sc_mamba2.cells.scale import Scale
from sc_mamba2.cells.stored import StoredCells
from sc_mamba2.errors import UserError
from sc_mamba2.genes import GeneTable, load_gene_table

FOREIGN_CELL = 0.2  # largest share of expressed genes from another species in a human cell
MUCH = 0.01  # share of the values that duplicate columns of a gene may hold
EXAMPLES = 5


def standardise(
    cells: ad.AnnData, table: GeneTable, layer: str | None = None, holds: Kind | None = None
) -> tuple[ad.AnnData, dict[str, Any]]:
    """Convert cells to the standard form.

    Parameters
    ----------
    cells
        Cells as read; not changed.
    table
        Gene table with ids, symbols and aliases.
    layer
        Layer to use as the expression, or ``X``, or ``raw``.
    holds
        What its values are; ``None``: inferred from their structure.

    Returns
    -------
    cells
        A new AnnData in the standard form: N cells x G mapped genes.
    report
        JSON-able: number of cells, genes by outcome (matched, dropped, ambiguous, retired), the source of
        the expression, examples of dropped genes, remarks.

    Raises
    ------
    UserError
        Those of `choose_expression` and `decide_form`.
    """
    stored = StoredCells.of(cells)
    expression = choose_expression(stored, table, layer, holds)
    form = decide_form(expression, table)
    genes, values = form.measure(clean_matrix(expression.candidate.matrix.read(0, cells.n_obs)))
    standard = form.assemble(genes, values, cells.obs)
    return standard, form.whole_report(cells.n_obs, standard.X.sum(), values.sum())


@dataclass(frozen=True, eq=False)
class StandardForm:
    """Decisions made once for all cells of a file; converts any of its rows to the standard form.

    Parameters
    ----------
    origin, scale
        Which matrix is the expression, and the scale of its values.
    measured
        Columns of that matrix that are genes, ``None`` for all; a cell's total is taken over them.
    kept
        Those of the measured columns that are kept, in the order of `var`.
    var
        Genes of the standard form: Ensembl id, symbol, biotype.
    report
        As returned by `standardise`, without numbers of cells and values.
    """

    origin: str
    scale: Scale
    measured: np.ndarray | None
    kept: np.ndarray
    var: pd.DataFrame
    report: dict[str, Any]

    @property
    def kind(self) -> Kind:
        """What the values are: counts, normalised, log-normalised."""
        return self.scale.kind

    def apply(self, matrix: sparse.csr_matrix, obs: pd.DataFrame) -> ad.AnnData:
        """Return cells in standard form from clean rows (`clean_matrix`) of the chosen matrix."""
        return self.assemble(*self.measure(matrix), obs)

    def measure(self, matrix: sparse.csr_matrix) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
        """Return the gene columns: as stored, and log-normalised."""
        genes = matrix if self.measured is None else matrix[:, self.measured]
        return genes, self.scale.log_normalise(genes)

    def assemble(
        self, genes: sparse.csr_matrix, values: sparse.csr_matrix, obs: pd.DataFrame
    ) -> ad.AnnData:
        """Build an AnnData from the two results of `measure`, genes in the table's order."""
        standard = ad.AnnData(X=values[:, self.kept], obs=obs.copy(), var=self.var.copy())
        if self.kind == "counts":
            standard.layers[keys.COUNTS_LAYER] = genes[:, self.kept]
        standard.uns[keys.FACTS] = {"expression": self.origin, "kind": self.kind}
        return standard

    def whole_report(self, cells: int, kept: float, whole: float) -> dict[str, Any]:
        """Return the report on all cells, given the sums of the kept values and of all values."""
        share = round(float(kept / whole), 4) if whole else 0.0
        return {"cells": cells} | self.report | {"values_kept_share": share}

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-able dictionary, for another process."""
        return {
            "origin": self.origin,
            "scale": asdict(self.scale),
            "measured": None if self.measured is None else self.measured.tolist(),
            "kept": self.kept.tolist(),
            "var": {"ensembl_id": self.var.index.tolist()} | self.var.to_dict("list"),
            "report": self.report,
        }

    @classmethod
    def from_json(cls, table: dict[str, Any]) -> "StandardForm":
        """Rebuild the form from the output of `to_json`."""
        return cls(
            table["origin"],
            Scale(**table["scale"]),
            None if table["measured"] is None else np.asarray(table["measured"]),
            np.asarray(table["kept"]),
            pd.DataFrame(table["var"], dtype=object).set_index("ensembl_id"),
            table["report"],
        )


def decide_form(expression: Expression, table: GeneTable) -> StandardForm:
    """Decide the standard form of cells from their expression.

    Raises
    ------
    UserError
        ``genes-unmatched``: no gene is known. ``species``: cells of another species.
    """
    candidate, names = expression.candidate, expression.names
    mapping, genes = names.mapping, candidate.measured_genes
    counts = mapping.counts()
    if not counts["matched"]:
        raise no_gene_matched(mapping, table.species)
    remarks = expression.remarks + check_species(expression.foreign_share, names, table.species)
    if table.species != "human":
        remarks.append({"rule": "genes-partners", "remark": _partners(counts, table.species)})
    columns = columns_to_keep(mapping, genes.index.astype(str).to_numpy(), expression.totals)
    known = expression.totals[mapping.rows >= 0].sum()
    left = 1 - expression.totals[columns].sum() / known if known else 0.0
    if left > MUCH:
        text = (
            f"{counts['duplicate']:,} columns duplicate a gene that has another column with a larger sum; "
            f"{left:.1%} of the values are dropped with them; if columns are probes, transcripts or parts "
            "of genes, sum them"
        )
        remarks.append({"rule": "genes-duplicate", "remark": text})
    rows = mapping.rows[columns]
    var = pd.DataFrame(
        {
            keys.SYMBOL: np.asarray(table.symbols, dtype=object)[rows],
            keys.BIOTYPE: np.asarray(table.biotypes, dtype=object)[rows],
        },
        index=pd.Index(mapping.ensembl_ids[columns].astype(str), name="ensembl_id"),
    )
    report = {
        "genes": counts
        | {
            "kept": len(columns),
            "dropped": counts["total"] - len(columns),
            "foreign": int(names.foreign.sum()),
        },
        "dropped_examples": {
            status: [str(name) for name in mapping.examples(status, EXAMPLES)]
            for status in ("ambiguous", "retired", "no_partner", "unknown_id", "unknown_symbol")
        },
        "expression": {
            "origin": candidate.origin,
            "kind": expression.scale.kind,
            "holds": expression.scale.words,
        },
        "remarks": remarks,
    }
    if candidate.measured is not None:
        report["set_aside"] = features_set_aside(candidate.genes)
    return StandardForm(
        candidate.origin, expression.scale, candidate.measured, columns, var, report
    )


def human_cells(cells: ad.AnnData) -> np.ndarray:
    """Return which of N cells are human: at most `FOREIGN_CELL` of their expressed genes are foreign."""
    expression = choose_expression(StoredCells.of(cells), load_gene_table())
    return expression.foreign_share <= FOREIGN_CELL


def check_species(
    foreign_share: np.ndarray, names: GeneNames, species: str = "human"
) -> list[dict[str, str]]:
    """Refuse cells of another species (rule ``species``); remark on a few foreign genes.

    `foreign_share` is (N,), the share of a cell's expressed genes that are of another species.
    """
    if not names.foreign.any():
        return []
    others = int((foreign_share > FOREIGN_CELL).sum())
    if others:
        cells = len(foreign_share)
        examples = [names.mapping.names[place] for place in np.flatnonzero(names.foreign)[:3]]
        if species == "mouse":
            mend = "omit --species mouse for human cells; for a mixture, keep one species"
        elif others == cells:
            mend = "--species mouse maps mouse genes to their human orthologues"
        else:
            mend = (
                "keep the human cells: adata[sc_mamba2.cells.human_cells(adata)].write_h5ad(FILE); read "
                "the others with --species mouse"
            )
        raise UserError(
            "species",
            found=f"{others:,} of {cells:,} cells ({others / cells:.0%}) with more than {FOREIGN_CELL:.0%} "
            f"of their expressed genes from another species (e.g. {', '.join(examples)})",
            expected=f"{species} cells",
            mend=mend,
        )
    text = (
        f"{int(names.foreign.sum()):,} genes are from another species; they are up to "
        f"{foreign_share.max():.0%} of the expressed genes of a cell"
    )
    return [{"rule": "genes-foreign", "remark": text}]


def _partners(counts: dict[str, int], species: str) -> str:
    """Return the remark on how many genes of another species are read as human ones."""
    return (
        f"{counts['matched']:,} of {counts['total']:,} {species} genes are mapped to their one human orthologue; "
        f"{counts['no_partner']:,} have none and are dropped. The included checkpoints were trained on "
        "human cells"
    )
