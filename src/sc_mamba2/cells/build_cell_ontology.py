"""Build the shipped table of cell types from the Cell Ontology of cellxgene-ontology-guide.

Run once by a developer, `python -m sc_mamba2.cells.build_cell_ontology --wheel FILE --output FOLDER`;
the package only reads the result (`cell_ontology.py`). The bytes depend on the input alone.
"""

import argparse
import json
import logging
import re
import zipfile
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from sc_mamba2.genes.build_gencode import compressed_csv

FILE = "cell-ontology.csv.gz"
_MEMBER = re.compile(r"cellxgene_ontology_guide/data/CL-ontology-v([0-9-]+)\.json\.zst")

logger = logging.getLogger(__name__)


def read_terms(wheel: Path) -> tuple[str, dict[str, Any]]:
    """Return the newest version of the Cell Ontology in a wheel, and its terms by id."""
    with zipfile.ZipFile(wheel) as archive:
        found = {
            match[1]: match[0] for name in archive.namelist() if (match := _MEMBER.match(name))
        }
        version = max(found)
        content = pa.BufferReader(archive.read(found[version]))
    return version, json.loads(pa.CompressedInputStream(content, "zstd").read())


def build_table(terms: dict[str, Any]) -> pd.DataFrame:
    """Return `id,name,synonyms,parents` of the terms that are not obsolete, by id.

    Synonyms are exact; parents are a term's nearest ancestors (is_a) in the Cell Ontology. Both are
    joined with ``|``, which no name contains.
    """
    rows = [
        (
            ident,
            term["label"],
            "|".join(term.get("synonyms", [])),
            "|".join(sorted(i for i, steps in term["ancestors"].items() if steps == 1)),
        )
        for ident, term in sorted(terms.items())
        if not term["deprecated"]
    ]
    return pd.DataFrame(rows, columns=["id", "name", "synonyms", "parents"])


def main(arguments: list[str] | None = None) -> None:
    """Build the table and write it to a folder."""
    parser = argparse.ArgumentParser(prog="build_cell_ontology", description=main.__doc__)
    parser.add_argument("--wheel", type=Path, required=True, help="cellxgene_ontology_guide-*.whl")
    parser.add_argument("--output", type=Path, required=True, help="folder of the table")
    options = parser.parse_args(arguments)
    version, terms = read_terms(options.wheel)
    table = build_table(terms)
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / FILE).write_bytes(content := compressed_csv(table))
    logger.info("%s: version %s, %d terms, %d bytes", FILE, version, len(table), len(content))


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    main()
