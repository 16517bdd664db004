"""Which genes may regulate and which may be regulated, and the known edges between them.

Legend: R regulators, T targets.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scanpy as sc
from anndata import AnnData

from sc_mamba2.cells import keys
from sc_mamba2.errors import UserError, nearest
from sc_mamba2.genes import Vocabulary, load_gene_table, map_genes
from sc_mamba2.tasks.gene_network.params import GeneParams
from sc_mamba2.tasks.gene_network.reference import ReferenceNetwork

FEWEST_CELLS = 10


@dataclass(frozen=True, eq=False)
class Choice:
    """The pairs that are scored.

    Attributes
    ----------
    regulators, targets
        (R,) and (T,) Ensembl ids; a gene may be in both.
    regulator_symbols, target_symbols
        Their symbols.
    origin
        Where the regulators come from, in words.
    """

    regulators: np.ndarray
    targets: np.ndarray
    regulator_symbols: np.ndarray
    target_symbols: np.ndarray
    origin: str

    def pairs(self) -> np.ndarray:
        """Tell the pairs of two different genes, (R, T) bool."""
        return self.regulators[:, None] != self.targets[None, :]


def choose_pairs(
    cells: AnnData, vocabulary: Vocabulary, reference: ReferenceNetwork | None, params: GeneParams
) -> Choice:
    """Choose regulators and targets.

    Raises
    ------
    UserError
        ``network-cells``: fewer than ten cells. ``gene-unknown``: a regulator that is named and that
        cells or checkpoint lack. ``regulators-file``: nothing in the file. ``regulators-none``: none
        is expressed. ``network-targets``: fewer than two genes are expressed.
    """
    if cells.n_obs < FEWEST_CELLS:
        raise UserError(
            "network-cells",
            found=f"{cells.n_obs} cells",
            expected=f"{FEWEST_CELLS} cells at least",
            mend="give more cells",
        )
    known = np.isin(vocabulary.rows_of(cells.var_names), vocabulary.gene_rows)
    share = np.diff(cells.X.tocsc().indptr) / cells.n_obs
    expressed = known & (share > 0) & (share >= params.expressed_share)
    places = np.flatnonzero(expressed)
    variability = _variability(cells, places)
    if len(places) < 2:
        raise UserError(
            "network-targets",
            found=f"{len(places)} genes in {params.expressed_share:.0%} of the cells or more",
            expected="two at least",
            mend="lower gene_network.genes.expressed_share",
        )
    targets = np.sort(places[np.argsort(-variability, kind="stable")][: params.targets])
    if params.regulators is not None:
        regulators, origin = _named(params.regulators, cells, known, share), "named"
    elif reference is not None:
        sources = places[np.isin(cells.var_names[places], reference.edges["source"].unique())]
        regulators, origin = _most_expressed(sources, share, params), "sources of the reference"
    else:
        first = np.argsort(-variability, kind="stable")[: params.most_regulators]
        regulators, origin = places[first], "most variable genes"
    if not len(regulators):
        raise UserError(
            "regulators-none",
            found=f"no regulator in {params.expressed_share:.0%} of the cells or more",
            expected="one at least",
            mend="name genes that the cells express with --genes",
        )
    ids, symbols = cells.var_names.to_numpy(str), cells.var[keys.SYMBOL].to_numpy(str)
    return Choice(ids[regulators], ids[targets], symbols[regulators], symbols[targets], origin)


def _variability(cells: AnnData, places: np.ndarray) -> np.ndarray:
    """Return scanpy's normalised dispersion (method "seurat") of some genes; NaN counts as least."""
    if len(places) < 2:
        return np.zeros(len(places))
    plain = AnnData(X=cells.X[:, places])
    table = sc.pp.highly_variable_genes(plain, flavor="seurat", n_top_genes=1, inplace=False)
    return table["dispersions_norm"].fillna(-np.inf).to_numpy()


def _most_expressed(places: np.ndarray, share: np.ndarray, params: GeneParams) -> np.ndarray:
    return places[np.argsort(-share[places], kind="stable")][: params.most_regulators]


def _named(given: str, cells: AnnData, known: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Find the regulators that a person named, each once."""
    names = _read_names(given)
    place = {ident: at for at, ident in enumerate(cells.var_names) if known[at]}
    found = map_genes(names, load_gene_table()).ensembl_ids
    missing = [name for name, ident in zip(names, found, strict=True) if ident not in place]
    if missing:
        symbols = cells.var[keys.SYMBOL].to_numpy(str)[known]
        raise UserError(
            "gene-unknown",
            found=f"{len(missing)} genes that are not both in the cells and in the checkpoint: "
            + ", ".join(missing[:5]),
            expected="symbols or Ensembl ids of genes that both know",
            mend="correct --genes" + nearest(missing[0], symbols),
        )
    places = np.array(list(dict.fromkeys(place[ident] for ident in found)), dtype=np.int64)
    return places[share[places] > 0]


def _read_names(given: str) -> list[str]:
    file = Path(given)
    is_file = file.is_file()
    text = file.read_text("utf-8") if is_file else given
    names = [part.strip() for part in text.replace("\n", ",").split(",") if part.strip()]
    if not names or (not is_file and ("/" in given or file.suffix in (".txt", ".csv"))):
        raise UserError(
            "regulators-file",
            found=f"no gene in '{file.name}'" if is_file else f"no file '{given}'",
            expected="names of genes by commas, or a text file with a name a line",
            mend="correct --genes",
        )
    return names
