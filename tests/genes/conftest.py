"""A gene table that can be read at a glance, and the gene lists of `../shared` where they lie."""

from pathlib import Path

import pandas as pd
import pytest

from sc_mamba2.genes import GeneTable

SHARED = Path(__file__).parents[3] / "shared" / "data"


@pytest.fixture(scope="session")
def shared() -> Path:
    if not SHARED.is_dir():
        pytest.skip("needs ../shared/data")
    return SHARED


@pytest.fixture(scope="session")
def small_table() -> GeneTable:
    """Five genes: A renamed from OLD, B twice, C and D once both SHARED, one retired as LOST."""
    genes = pd.DataFrame(
        [
            ("ENSG00000000001", "A", "lncRNA", "ENSG00000000091|ENSG00000000092", "OLD|B"),
            ("ENSG00000000002", "B", "miRNA", "", ""),
            ("ENSG00000000003", "B", "miRNA", "", ""),
            ("ENSG00000000004", "C", "protein_coding", "", "SHARED|A"),
            ("ENSG00000000005", "D", "protein_coding", "", "SHARED|LOST"),
        ],
        columns=["ensembl_id", "symbol", "biotype", "alias_ids", "alias_symbols"],
    )
    retired = pd.DataFrame(
        [("ENSG00000000081", "LOST"), ("ENSG00000000082", "GONE")], columns=["ensembl_id", "symbol"]
    )
    return GeneTable.from_frames("small", genes, retired)
