"""The shipped table follows from the wheel, byte for byte."""

import gzip
import json
import logging
import zipfile
from importlib import resources

import pyarrow as pa

from sc_mamba2.cells import build_cell_ontology
from sc_mamba2.cells.build_cell_ontology import FILE, build_table, compressed_csv, read_terms

TERMS = {
    "CL:2": {"label": "b", "ancestors": {"CL:1": 1}, "deprecated": False, "synonyms": ["bee", "B"]},
    "CL:1": {"label": "a", "ancestors": {}, "deprecated": False},
    "CL:3": {"label": "obsolete c", "ancestors": {}, "deprecated": True},
    "CL:4": {"label": "d", "ancestors": {"CL:2": 1, "CL:1": 2}, "deprecated": False},
}


def wheel(folder, **versions):
    path = folder / "guide.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for version, terms in versions.items():
            sink = pa.BufferOutputStream()
            with pa.CompressedOutputStream(sink, "zstd") as stream:
                stream.write(json.dumps(terms).encode())
            name = f"CL-ontology-v{version.replace('_', '-')}.json.zst"
            archive.writestr(f"cellxgene_ontology_guide/data/{name}", sink.getvalue().to_pybytes())
    return path


def test_the_newest_version_is_read_and_obsolete_terms_are_left_out(tmp_path):
    path = wheel(tmp_path, **{"2025_01_01": {}, "2026_01_01": TERMS})
    version, terms = read_terms(path)
    assert version == "2026-01-01"
    table = build_table(terms)
    assert table.to_numpy().tolist() == [
        ["CL:1", "a", "", ""],
        ["CL:2", "b", "bee|B", "CL:1"],
        ["CL:4", "d", "", "CL:2"],
    ]


def test_the_command_writes_the_same_bytes_again_and_says_what(tmp_path, caplog):
    path = wheel(tmp_path, **{"2026_01_01": TERMS})
    with caplog.at_level(logging.INFO, logger=build_cell_ontology.__name__):
        build_cell_ontology.main(["--wheel", str(path), "--output", str(tmp_path / "out")])
    assert (tmp_path / "out" / FILE).read_bytes() == compressed_csv(build_table(TERMS))
    assert "version 2026-01-01, 3 terms" in caplog.text


def test_the_shipped_table_is_small_and_its_source_is_named():
    data = resources.files("sc_mamba2.cells").joinpath("data")
    content = data.joinpath(FILE).read_bytes()
    assert len(content) < 100_000
    terms = len(gzip.decompress(content).decode().splitlines()) - 1
    readme = data.joinpath("README.md").read_text("utf-8")
    assert f"{terms:,} terms" in readme and "CC BY 4.0" in readme
