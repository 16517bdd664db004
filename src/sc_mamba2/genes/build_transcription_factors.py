"""Build the shipped list of human transcription factors from JASPAR and Reactome.

Run once by a developer, `python -m sc_mamba2.genes.build_transcription_factors --jaspar
JASPAR2026.sqlite --output FOLDER`; the package only reads the result (`transcription_factors.py`).
"""

import argparse
import logging
import re
import sqlite3
from pathlib import Path

import pandas as pd

from sc_mamba2.genes.mapping import map_genes
from sc_mamba2.genes.pathways import read_pathways
from sc_mamba2.genes.table import GeneTable, load_gene_table
from sc_mamba2.genes.transcription_factors import FILE

_PROFILES = """
    SELECT DISTINCT NAME FROM MATRIX JOIN MATRIX_SPECIES ON MATRIX.ID = MATRIX_SPECIES.ID
    WHERE TAX_ID IN ('9606', '10090', '10116') AND COLLECTION IN ('CORE', 'UNVALIDATED')
"""
_VARIANT = re.compile(r"\(.*\)")
# In Reactome's "Generic Transcription Pathway" only the zinc finger proteins are all factors.
_ZINC_FINGERS, _ZINC_FINGER = "R-HSA-212436", re.compile(r"(ZNF|ZFP|ZKSCAN|ZSCAN)\d")


def jaspar_symbols(path: Path) -> set[str]:
    """Return the factors of JASPAR's human, mouse and rat profiles, by upper-case symbol.

    A mouse or rat profile counts for the human gene of the same symbol; both parts of a dimer count.
    """
    with sqlite3.connect(path) as database:
        names = [name for (name,) in database.execute(_PROFILES)]
    return {_VARIANT.sub("", part).strip().upper() for name in names for part in name.split("::")}


def build_list(symbols: set[str], table: GeneTable) -> pd.DataFrame:
    """Return ``ensembl_id`` and ``symbol`` of the protein-coding genes with these symbols, by symbol."""
    found = {ident for ident in map_genes(sorted(symbols), table).ensembl_ids if ident}
    rows = [table.row_of_id[ident] for ident in found]
    genes = pd.DataFrame({"ensembl_id": table.ids[rows], "symbol": table.symbols[rows]})
    coding = table.biotypes[rows] == "protein_coding"
    return genes[coding].sort_values(["symbol", "ensembl_id"], ignore_index=True)


def main(arguments: list[str] | None = None) -> None:
    """Build the list and write it to a folder."""
    parser = argparse.ArgumentParser(prog="build_transcription_factors", description=main.__doc__)
    parser.add_argument("--jaspar", type=Path, required=True, help="JASPAR2026.sqlite")
    parser.add_argument("--output", type=Path, required=True, help="folder of the list")
    options = parser.parse_args(arguments)
    fingers = filter(_ZINC_FINGER.match, read_pathways()[_ZINC_FINGERS])
    genes = build_list(jaspar_symbols(options.jaspar) | set(fingers), load_gene_table())
    genes.to_csv(options.output / FILE, index=False, lineterminator="\n")
    logging.getLogger(__name__).info("%s: %d genes", FILE, len(genes))


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    main()
