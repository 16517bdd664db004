import os
import shutil

import pytest
from tests.s3 import running_s3

from sc_mamba2.errors import UserError
from sc_mamba2.model import checkpoint_folder
from sc_mamba2.versions import dvc
from sc_mamba2.versions.checkpoints import list_checkpoints, pull, push

TINY = checkpoint_folder("scm-tiny")


def test_the_list_tells_what_the_card_says(tmp_path):
    (tmp_path / "data/06_models").mkdir(parents=True)
    shutil.copytree(TINY, tmp_path / "data/06_models/run/checkpoints/last")
    for name in ("gone", "kept"):
        (tmp_path / f"data/06_models/{name}.dvc").touch()
    shutil.copytree(TINY, tmp_path / "data/06_models/kept")
    found = {row["name"]: row for row in list_checkpoints(tmp_path)}
    states = {
        "scm-tiny": "shipped",
        "run/checkpoints/last": "here",
        "gone": "absent",
        "kept": "versioned",
    }
    assert states.items() <= {name: row["state"] for name, row in found.items()}.items()
    assert (
        found["run/checkpoints/last"]["parameters"]
        == found["scm-tiny"]["parameters"]
        == "2,870,484"
    )
    assert "non-commercial" in found["sc_mamba2_weights"]["licence"]


def test_what_a_stage_writes_needs_a_name_of_its_own(tmp_path):
    folder = tmp_path / "data/06_models/annotation"
    shutil.copytree(TINY, folder)
    (tmp_path / "dvc.yaml").write_text(
        "stages: {annotation: {cmd: 'true', outs: [data/06_models/annotation]}}"
    )
    with pytest.raises(UserError, match="model-of-stage"):
        push(tmp_path, folder)
    with pytest.raises(UserError, match="dvc-project"):  # past that: there is no DVC here
        push(tmp_path, folder, name="mine")


def test_a_refused_push_leaves_nothing(project, tmp_path):
    with pytest.raises(UserError, match=r"dvc-remote.*no default remote"):
        push(project, TINY, name="first")
    damaged = tmp_path / "damaged"
    shutil.copytree(TINY, damaged)
    (damaged / "config.json").write_text("{}")
    with pytest.raises(UserError, match="checkpoint-sha256"):
        push(project, damaged)
    with pytest.raises(UserError, match="checkpoint-folder"):
        push(project, tmp_path)
    assert not (project / "data/06_models").exists()


def test_without_dvc_or_a_pointer_the_way_is_told(tmp_path, monkeypatch):
    for name, rule in (
        ("none", "model-unknown"),
        ("sc_mamba2_weights", r"model-by-hand.*import-weights"),
    ):
        with pytest.raises(UserError, match=rule):
            pull(tmp_path, name)
    with pytest.raises(UserError, match="dvc-project"):
        push(tmp_path, TINY)
    monkeypatch.setattr(dvc.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="dvc-missing"):
        push(tmp_path, TINY)


@pytest.mark.slow
def test_what_went_to_a_remote_in_s3_comes_back_byte_by_byte(project):
    pytest.importorskip("dvc_s3", reason="needs dvc[s3]")
    with running_s3("versions") as bucket:
        dvc.run(project, "remote", "add", "--default", "far", f"{bucket}/checkpoints")
        dvc.run(project, "remote", "modify", "far", "endpointurl", os.environ["AWS_ENDPOINT_URL"])
        push(project, TINY, name="first")
        folder = project / "data/06_models/first"
        for place in (folder, project / ".dvc/cache"):
            shutil.rmtree(place)
        assert pull(project, "first") == folder
    for file in TINY.iterdir():
        assert (folder / file.name).read_bytes() == file.read_bytes()
