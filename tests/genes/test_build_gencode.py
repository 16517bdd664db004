"""The shipped tables follow from the two gene lists, byte for byte."""

import gzip
import logging
from importlib import resources
from pathlib import Path

import pandas as pd
import pytest

from sc_mamba2.genes import build_gencode

SHIPPED = resources.files("sc_mamba2.genes").joinpath("data")
FILES = (build_gencode.GENES_FILE, build_gencode.RETIRED_FILE)

V44 = """ENSG00000000001,A,6,1,lncRNA
ENSG00000000002,B_ENSG00000000002,1,1,miRNA
ENSG00000000003,B_ENSG00000000003,1,1,miRNA
ENSG00000000004,C_ENSG00000000004,1,1,TEC
ENSG00000000005,NA,1,1,TEC
ENSG00000000006,ENSG00000000006.2,2,1,TEC
ENSG00000000007,ENSG00000000007.9,9,1,TEC
"""
V38 = """ENSG00000000001,A,5,1
ENSG00000000002,B_ENSG00000000002,1,1
ENSG00000000004,OLD,1,1
ENSG00000000006,RP11-6.1,1,1
ENSG00000000007,ENSG00000000007.8,8,1
ENSG00000000093,C_ENSG00000000093,1,1
ENSG00000000091,C_ENSG00000000091,1,1
ENSG00000000092,B_ENSG00000000092,1,1
ENSG00000000094,GONE,1,1
"""


@pytest.fixture
def lists(tmp_path: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    for name, text in (("v44", V44), ("v38", V38)):
        (tmp_path / name).write_text(text)
    return tuple(build_gencode.read_gene_list(tmp_path / name) for name in ("v44", "v38"))


def test_suffix_is_stripped_and_na_is_a_symbol(lists):
    assert lists[0]["symbol"].tolist()[:5] == ["A", "B", "B", "C", "NA"]


def test_aliases_and_retired(lists):
    genes, retired = build_gencode.build_tables(*lists)
    assert genes.columns.tolist() == [
        "ensembl_id",
        "symbol",
        "biotype",
        "alias_ids",
        "alias_symbols",
    ]
    assert genes["ensembl_id"].tolist() == lists[0]["ensembl_id"].tolist()
    # both lost ids named C lead to the one C, in v38's order; a lost B leads to none of two
    assert genes["alias_ids"].tolist() == [""] * 3 + ["ENSG00000000093|ENSG00000000091"] + [""] * 3
    # an id that stands for a missing symbol, with another version, is no alias
    assert genes["alias_symbols"].tolist() == ["", "", "", "OLD", "", "RP11-6.1", ""]
    assert retired.to_numpy().tolist() == [["ENSG00000000092", "B"], ["ENSG00000000094", "GONE"]]


def test_bytes_hold_neither_time_nor_name():
    content = build_gencode.compressed_csv(pd.DataFrame({"a": ["x"]}))
    assert content[:4] == b"\x1f\x8b\x08\x00" and content[4:8] == bytes(4)
    assert gzip.decompress(content) == b"a\nx\n"


def test_shipped_tables_are_rebuilt_to_the_byte(shared, tmp_path, caplog):
    source = shared / "resources"
    with caplog.at_level(logging.INFO, logger=build_gencode.__name__):
        build_gencode.main(
            [
                f"--v44={source / 'gencode_v44_genes.csv.gz'}",
                f"--v38={source / 'gencode_v38_genes.csv.gz'}",
                f"--output={tmp_path / 'new'}",
            ]
        )
    assert "62754 genes" in caplog.text
    for name in FILES:
        built, shipped = (tmp_path / "new" / name).read_bytes(), SHIPPED.joinpath(name).read_bytes()
        assert gzip.decompress(built) == gzip.decompress(shipped), "other tables than shipped"
        assert built == shipped, "the same tables, compressed by another zlib"


def test_shipped_tables_are_small():
    assert sum(len(SHIPPED.joinpath(name).read_bytes()) for name in FILES) < 1_000_000
