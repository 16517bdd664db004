"""Input of the scores: the model, and the candidate regulators and targets.

Legend: R regulators, T targets.
"""

import logging
from dataclasses import dataclass

import numpy as np
import pandas as pd
import scanpy as sc
from anndata import AnnData

from sc_mamba2.cells import keys
from sc_mamba2.errors import UserError, nearest
from sc_mamba2.genes import GeneTable, Vocabulary, load_gene_table, map_genes
from sc_mamba2.genes.transcription_factors import transcription_factors
from sc_mamba2.model import PretrainedModel
from sc_mamba2.tasks.gene_network.model import read_model
from sc_mamba2.tasks.gene_network.params import GeneParams, ReferenceParams, ScoreParams
from sc_mamba2.tasks.gene_network.reference import read_reference
from sc_mamba2.tasks.shared.gene_names import read_names
from sc_mamba2.tasks.shared.params import IngestionParams
from sc_mamba2.training import ComputeOptions

MIN_CELLS = 10

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Choice:
    """The candidate pairs.

    Attributes
    ----------
    regulators, targets
        (R,) and (T,) Ensembl ids; a gene may be in both.
    regulator_symbols, target_symbols
        Their symbols.
    origin
        How the regulators were chosen, in words.
    """

    regulators: np.ndarray
    targets: np.ndarray
    regulator_symbols: np.ndarray
    target_symbols: np.ndarray
    origin: str

    def pairs(self) -> np.ndarray:
        """Return the pairs of two different genes, (R, T) bool."""
        return self.regulators[:, None] != self.targets[None, :]


def prepare(
    valid_cells: AnnData,
    scoring: ScoreParams,
    reference: ReferenceParams,
    genes: GeneParams,
    ingestion: IngestionParams,
    compute: ComputeOptions,
) -> tuple[PretrainedModel, pd.DataFrame, Choice]:
    """Load the model and the known edges (see `read_reference`), and choose the genes."""
    model = read_model(scoring.checkpoint, compute)
    table = load_gene_table(ingestion.gene_table)
    known_edges = read_reference(reference, table)
    return model, known_edges, choose_pairs(valid_cells, model.tokenizer.vocabulary, genes, table)


def choose_pairs(
    cells: AnnData, vocabulary: Vocabulary, params: GeneParams, table: GeneTable
) -> Choice:
    """Choose regulators and targets among the genes that the model knows, and log how.

    Raises
    ------
    UserError
        ``network-cells``: fewer than ten cells. ``gene-unknown``: a named regulator is missing from
        cells or checkpoint. ``regulators-file``: the file is missing or empty. ``regulators-none``: no
        regulator is expressed. ``network-targets``: fewer than two genes are expressed.
    """
    if cells.n_obs < MIN_CELLS:
        raise UserError(
            "network-cells",
            found=f"{cells.n_obs} cells",
            expected=f"at least {MIN_CELLS} cells",
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
            found=f"{len(places)} genes expressed in at least {params.expressed_share:.0%} of the cells",
            expected="at least two",
            mend="lower gene_network.genes.expressed_share",
        )
    targets = np.sort(places[np.argsort(-variability, kind="stable")][: params.targets])
    if params.regulators is not None:
        regulators, origin = _named(params.regulators, cells, known, share, table), "named"
    else:
        regulators, origin = _factors(cells, places, share, variability, params.most_regulators)
    if not len(regulators):
        raise UserError(
            "regulators-none",
            found=f"no regulator among {len(places):,} genes expressed in at least "
            f"{params.expressed_share:.0%} of the cells",
            expected="at least one",
            mend="give genes that the cells express with --genes",
        )
    logger.info("%d regulators (%s), %d targets", len(regulators), origin, len(targets))
    ids, symbols = cells.var_names.to_numpy(str), cells.var[keys.SYMBOL].to_numpy(str)
    return Choice(ids[regulators], ids[targets], symbols[regulators], symbols[targets], origin)


def _variability(cells: AnnData, places: np.ndarray) -> np.ndarray:
    """Return scanpy's normalised dispersion (method "seurat") of some genes, NaN as -inf."""
    if len(places) < 2:
        return np.zeros(len(places))
    plain = AnnData(X=cells.X[:, places])
    table = sc.pp.highly_variable_genes(plain, flavor="seurat", n_top_genes=1, inplace=False)
    return table["dispersions_norm"].fillna(-np.inf).to_numpy()


def _factors(
    cells: AnnData, places: np.ndarray, share: np.ndarray, variability: np.ndarray, most: int
) -> tuple[np.ndarray, str]:
    """Return the columns of the expressed transcription factors, and how they were chosen.

    If there are none, as in a small panel, the most variable genes are used instead.
    """
    factors = places[np.isin(cells.var_names[places], list(transcription_factors()))]
    if not len(factors):
        logger.warning(
            "no human transcription factor among %d expressed genes: the most variable genes are used "
            "as regulators; give your own with --genes",
            len(places),
        )
        chosen = places[np.argsort(-variability, kind="stable")][:most]
        return chosen, "most variable genes, since no transcription factor was found"
    chosen = factors[np.argsort(-share[factors], kind="stable")][:most]
    rule = "" if len(factors) <= most else f", of {len(factors):,} those in most cells"
    return chosen, "expressed transcription factors" + rule


def _named(
    given: str, cells: AnnData, known: np.ndarray, share: np.ndarray, table: GeneTable
) -> np.ndarray:
    """Return the columns of the regulators named by the user, each once."""
    names = read_names(given, "regulators-file")
    place = {ident: at for at, ident in enumerate(cells.var_names) if known[at]}
    ids = map_genes(names, table).ensembl_ids
    missing = [name for name, ident in zip(names, ids, strict=True) if ident not in place]
    if missing:
        symbols = cells.var[keys.SYMBOL].to_numpy(str)[known]
        raise UserError(
            "gene-unknown",
            found=f"{len(missing)} genes that the cells or the checkpoint lack: "
            + ", ".join(missing[:5]),
            expected="symbols or Ensembl ids of genes that both have",
            mend="correct --genes" + nearest(missing[0], symbols),
        )
    places = np.array(list(dict.fromkeys(place[ident] for ident in ids)), dtype=np.int64)
    return places[share[places] > 0]
