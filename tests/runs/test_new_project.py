import tomllib
from pathlib import Path

import pytest
import yaml
from kedro.config import OmegaConfigLoader

from sc_mamba2.errors import UserError
from sc_mamba2.pipelines.registry import named_pipelines
from sc_mamba2.runs.configuration import CONFIG_LOADER, shipped_conf
from sc_mamba2.runs.new_project import ENVIRONMENTS, LAYERS, new_project

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return new_project(tmp_path_factory.mktemp("of") / 'my "cells"')


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_kedro_finds_the_package_in_it(project):
    table = tomllib.loads((project / "pyproject.toml").read_text("utf-8"))["tool"]["kedro"]
    assert table["package_name"] == "sc_mamba2" and table["project_name"] == 'my "cells"'
    assert (project / table["source_dir"]).is_dir()


def test_it_has_the_shipped_configuration_and_nobodys_own(project):
    for environment in ENVIRONMENTS:
        copied = contents(project / "conf" / environment)
        assert copied and copied == contents(shipped_conf() / environment)
    assert contents(project / "conf" / "local") == {".gitkeep": b""}


def test_its_layers_are_those_of_the_clone(project):
    ours = {path.name for path in (ROOT / "data").glob("0*") if path.is_dir()}
    assert {path.name for path in (project / "data").iterdir()} == set(LAYERS) == ours


def test_no_word_of_the_template_is_left(project):
    texts = [path.read_text("utf-8") for path in project.rglob("*") if path.is_file()]
    assert not any(word in text for text in texts for word in ("@NAME@", "@TITLE@", "@KEDRO@"))
    assert (project / "README.md").read_text("utf-8").startswith('# my "cells"\n')


def test_its_stages_are_pipelines_and_write_what_the_catalog_names(project):
    stages = yaml.safe_load((project / "dvc.yaml").read_text("utf-8"))["stages"]
    entries = OmegaConfigLoader(str(project / "conf"), **CONFIG_LOADER)["catalog"].values()
    paths = {entry["filepath"] for entry in entries if entry.get("filepath")}
    for name, stage in stages.items():
        assert name in named_pipelines() and f"--pipeline {name} " in stage["cmd"]
        scores = {str(Path(path).with_name("metrics.json")) for path in stage["metrics"]}
        written = {*stage["outs"], *scores, *stage["plots"]}
        assert written <= {path.replace("{task}", name) for path in paths}
        params = [path for one in stage["params"] for path in one]
        assert params and all((project / path).exists() for path in stage["deps"] + params)


def test_an_empty_folder_is_filled_where_it_stands(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = tmp_path.stat().st_ino
    assert new_project(Path()) == tmp_path
    assert tmp_path.stat().st_ino == before and (tmp_path / "conf" / "base").is_dir()


@pytest.mark.parametrize("kind", ["file", "hidden file inside"])
def test_what_is_not_empty_is_refused_and_left_alone(tmp_path, kind):
    there = tmp_path / "mine"
    if kind == "file":
        there.write_text("mine")
    else:
        there.mkdir()
        (there / ".notes").write_text("mine")
    with pytest.raises(UserError, match="init-folder"):
        new_project(there)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
    assert there.is_file() or contents(there) == {".notes": b"mine"}
