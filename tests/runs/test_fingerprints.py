import hashlib

import pytest

from sc_mamba2.files import sha256_of
from sc_mamba2.runs.fingerprints import code_facts, fingerprint


def test_a_file_is_hashed_by_its_content(tmp_path):
    (tmp_path / "a").write_bytes(b"cells")
    expected = hashlib.sha256(b"cells").hexdigest()
    assert fingerprint([str(tmp_path / "a")]) == expected
    assert fingerprint([f"rna={tmp_path / 'a'}"]) == expected


def test_a_folder_is_hashed_by_names_and_contents(tmp_path):
    def folder(name: str, **files: str):
        for file, text in files.items():
            (tmp_path / name / "deep").mkdir(parents=True, exist_ok=True)
            (tmp_path / name / "deep" / file).write_text(text)
        return fingerprint([str(tmp_path / name)])

    one = folder("one", a="1", b="2")
    assert one == folder("same", a="1", b="2")
    assert one != folder("other", a="1", b="3")
    assert one != folder("renamed", a="1", c="2")
    assert one != folder("less", a="1")


def test_the_words_about_a_checkpoint_do_not_count(tmp_path):
    (tmp_path / "model.safetensors").write_text("weights")
    before = fingerprint([str(tmp_path)])
    (tmp_path / "MODEL_CARD.md").write_text("run: today")
    (tmp_path / "manifest.json").write_text("{}")
    assert fingerprint([str(tmp_path)]) == before
    (tmp_path / "model.safetensors").write_text("other")
    assert fingerprint([str(tmp_path)]) != before


def test_a_pattern_is_what_it_names(tmp_path):
    for name in ("b", "a"):
        (tmp_path / f"{name}.h5ad").write_text(name)
    listed = fingerprint([str(tmp_path / "a.h5ad"), str(tmp_path / "b.h5ad")])
    assert fingerprint([str(tmp_path / "*.h5ad")]) == listed
    (tmp_path / "c.h5ad").write_text("c")
    assert fingerprint([str(tmp_path / "*.h5ad")]) != listed


@pytest.mark.parametrize("source", ["simulated:three-types", "nowhere.h5ad"])
def test_what_lies_nowhere_has_no_hash(source):
    assert fingerprint([source]) is None


@pytest.mark.parametrize("source", ["scm-tiny", "scanpy:pbmc68k_reduced"])
def test_what_comes_with_a_package_has_one(source):
    assert fingerprint([source])


def test_the_code_is_hashed(tmp_path, monkeypatch):
    from sc_mamba2.runs import fingerprints

    facts = code_facts()
    assert facts.version and facts.sha256[:8] in facts.name()
    (tmp_path / "one.py").write_text("x = 1")
    monkeypatch.setattr(fingerprints, "_PACKAGE", tmp_path)
    hashes = set()
    for text in ("x = 1", "x = 2"):
        fingerprints.code_sha256.cache_clear()
        (tmp_path / "one.py").write_text(text)
        hashes.add(fingerprints.code_sha256())
    fingerprints.code_sha256.cache_clear()
    assert len(hashes) == 2
    assert sha256_of(tmp_path / "one.py") not in hashes
