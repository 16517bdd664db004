"""The shipped list of transcription factors, and how it is built."""

import sqlite3

import pandas as pd

from sc_mamba2.genes import load_gene_table, map_genes
from sc_mamba2.genes.build_transcription_factors import build_list, jaspar_symbols, main
from sc_mamba2.genes.transcription_factors import FILE, transcription_factors

NO_FACTORS = ("CD3E", "GAPDH", "B2M", "MKI67", "ISG15", "ACTB", "MED1")


def test_the_list_holds_factors_and_no_other_genes():
    table, factors = load_gene_table(), transcription_factors()
    known = map_genes(["STAT1", "IRF7", "GATA1", "TP53", "SPI1", "ZNF10", "PAX5"], table)
    assert set(known.ensembl_ids) <= factors
    assert factors.isdisjoint(map_genes(NO_FACTORS, table).ensembl_ids)
    assert len(factors) > 1000 and factors <= set(table.ids)


def test_it_is_built_from_profiles_of_mammals_and_zinc_fingers(tmp_path):
    profiles = [
        (1, "CORE", "FOS::JUN", "9606"),
        (2, "UNVALIDATED", "Gata1", "10090"),
        (3, "CORE", "IRF7(var.2)", "10116"),
        (4, "CORE", "STAT1", "7227"),
        (5, "OTHER", "SPI1", "9606"),
    ]
    path = tmp_path / "jaspar.sqlite"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE MATRIX (ID, COLLECTION, NAME)")
        database.execute("CREATE TABLE MATRIX_SPECIES (ID, TAX_ID)")
        database.executemany("INSERT INTO MATRIX VALUES (?, ?, ?)", [row[:3] for row in profiles])
        database.executemany(
            "INSERT INTO MATRIX_SPECIES VALUES (?, ?)", [(row[0], row[3]) for row in profiles]
        )
    assert jaspar_symbols(path) == {"FOS", "JUN", "GATA1", "IRF7"}
    main(["--jaspar", str(path), "--output", str(tmp_path)])
    built = pd.read_csv(tmp_path / FILE)
    assert {"FOS", "GATA1", "IRF7", "JUN", "ZNF10"} <= set(built["symbol"])
    assert "STAT1" not in set(built["symbol"])
    assert set(built["ensembl_id"]) <= transcription_factors() and len(built) > 200


def test_names_that_are_no_coding_gene_are_left_out():
    assert build_list({"STAT1", "NOSUCHGENE", "MALAT1"}, load_gene_table())["symbol"].tolist() == [
        "STAT1"
    ]
