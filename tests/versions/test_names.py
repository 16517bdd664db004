import pytest

from sc_mamba2.errors import UserError
from sc_mamba2.runs.selection import given_params
from sc_mamba2.versions.names import with_paths


@pytest.fixture
def here(tmp_path, monkeypatch):
    folder = tmp_path / "data/01_raw/two"
    folder.mkdir(parents=True)
    (tmp_path / "data/manifest.json").write_text("{}")
    for name in ("train.h5ad", "test.h5ad", "test.h5ad.dvc", ".gitignore"):
        (folder / name).touch()
    (tmp_path / "deep/er").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "deep/er")
    return tmp_path


def test_a_name_is_a_path_wherever_a_source_is_said(here):
    (here / "data/01_raw/two/train.h5ad").unlink()
    path = str(here / "data/01_raw/two/test.h5ad")
    chosen = {"input": "data:two", "multiomics.inputs": ["rna=data:two", "rna=other.h5ad"]}
    params = given_params(chosen, ["query=data:two/test.h5ad,compute.seed=3"])
    assert params["input"] == params["query"] == path
    assert params["multiomics"]["inputs"] == [f"rna={path}", "rna=other.h5ad"]
    assert params["compute"]["seed"] == 3


@pytest.mark.parametrize(
    "name, rule",
    [("data:two", "data-several"), ("data:two/../x", "data-several"), ("data:none", "data-absent"),
     ("data:../two", "data-name")],
)  # fmt: skip
def test_what_names_no_single_file_is_refused(here, name, rule):
    with pytest.raises(UserError) as error:
        with_paths(name, here)
    assert error.value.rule == rule
