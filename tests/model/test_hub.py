"""Models of the Hub: fetched once from a server on loopback, then offline; sent with a card."""

import json
import shutil
import socket
import sys
from pathlib import Path

import pytest
import torch
import yaml
from tests.checkpoints import write_random_checkpoint
from tests.hub import Hub, Repo, running_hub
from typer.testing import CliRunner

import sc_mamba2 as scm
from sc_mamba2.cells import simulate_cells
from sc_mamba2.commands import app
from sc_mamba2.errors import UserError
from sc_mamba2.model import checkpoint_folder, download, read_checkpoint, upload
from sc_mamba2.model.hub import hub_card
from sc_mamba2.model.hub_cache import cached_checkpoints, hub_name

huggingface_hub = pytest.importorskip("huggingface_hub", reason="needs the extra `hub`")
NAME = "lab/blood"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return write_random_checkpoint(tmp_path_factory.mktemp("model") / "checkpoint")


@pytest.fixture
def hub(tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_TOKEN", "a-token")
    monkeypatch.chdir(tmp_path)
    with running_hub() as started:
        monkeypatch.setenv("HF_ENDPOINT", started.address)
        yield started
    assert not [path for path in started.unknown if "agent" in path or "telemetry" in path]


@pytest.fixture
def no_network(monkeypatch):
    """Give a function after which no connection can be opened."""

    def refuse(*_: object) -> None:
        raise AssertionError("a connection was opened")

    def block() -> None:
        monkeypatch.setattr(socket.socket, "connect", refuse)
        monkeypatch.setattr(socket, "getaddrinfo", refuse)

    return block


def put(hub: Hub, folder: Path, name: str = NAME, **more: bytes) -> Repo:
    repo = hub.repos.setdefault(name, Repo())
    repo.commit({path.name: path.read_bytes() for path in folder.iterdir()} | more)
    return repo


def scm_says(*words: object) -> str:
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    return done.output


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("lab/blood", ("lab/blood", "main")),
        ("lab/blood@v1.0", ("lab/blood", "v1.0")),
        ("lab/blood@refs/pr/1", ("lab/blood", "refs/pr/1")),
        *((name, None) for name in ("scm-tiny", "./a", "../a", "a/b/c", "/a/b", "a/b@../c", "~/a")),
    ],
)
def test_what_can_be_a_name_of_the_hub(name, parts):
    assert hub_name(name) == parts


def test_a_model_is_fetched_when_asked_and_then_offline(hub, folder, no_network, capfd):
    put(hub, folder, **{"pytorch_model.bin": b"a pickle", "run.py": b"code"})
    with pytest.raises(UserError, match=r"checkpoint-folder.*cache.*scm model pull lab/blood"):
        scm.from_pretrained(NAME)
    assert not hub.asked
    model = scm.from_pretrained(NAME, download=True)
    fetched = {path.name for path in checkpoint_folder(NAME).iterdir()}
    assert fetched == {path.name for path in folder.iterdir()}
    no_network()
    again = scm.from_pretrained(NAME)
    own = scm.from_pretrained(folder).state_dict()
    for one in (model, again):
        assert all(torch.equal(part, own[name]) for name, part in one.state_dict().items())
    assert read_checkpoint(NAME).sha256 == read_checkpoint(folder).sha256
    assert list(cached_checkpoints()) == [NAME]
    assert "Fetching" not in capfd.readouterr().err  # bars are for a terminal
    assert all("torch" not in agent and "agent/" not in agent for agent in hub.agents)


def test_a_revision_is_a_name_of_its_own(hub, folder, tmp_path):
    repo = put(hub, folder)
    repo.refs["v1"] = commit = repo.refs["main"]
    put(hub, write_random_checkpoint(tmp_path / "newer", seed=1))
    download(NAME)
    for name in (f"{NAME}@v1", f"{NAME}@{commit}"):
        download(name)
        assert read_checkpoint(name).sha256 == read_checkpoint(folder).sha256
    assert read_checkpoint(NAME).sha256 == read_checkpoint(tmp_path / "newer").sha256
    with pytest.raises(UserError, match="hub-refused"):
        download(f"{NAME}@v2")


def test_a_shipped_name_and_a_folder_are_meant_first_and_nothing_is_asked(hub, folder, no_network):
    put(hub, folder)
    download(NAME)
    shutil.copytree(checkpoint_folder("scm-tiny"), Path(NAME))
    asked = len(hub.asked)
    no_network()
    assert scm.from_pretrained(NAME, download=True).config.d_model == 128
    assert checkpoint_folder(NAME) == Path(NAME)
    assert scm.from_pretrained("scm-tiny", download=True).config.d_model == 128
    assert len(hub.asked) == asked


def test_what_is_no_whole_checkpoint_is_refused(hub, folder):
    put(hub, folder, **{"config.json": b"{}"})
    with pytest.raises(UserError, match=r"checkpoint-sha256.*config\.json"):
        download(NAME)
    hub.repos["lab/other"] = Repo()
    hub.repos["lab/other"].commit({"model.safetensors": b"of another project"})
    with pytest.raises(UserError, match="checkpoint-file"):
        download("lab/other")
    for name, rule in (
        ("lab/none", "hub-refused"),
        ("blood", "hub-name"),
        ("a--b/c", "hub-refused"),
    ):
        with pytest.raises(UserError, match=rule):
            download(name)


def test_without_an_answer_or_the_library_the_way_is_told(hub, folder, monkeypatch):
    put(hub, folder)
    download(NAME)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    with pytest.raises(UserError, match="network"):  # the cache does not stand in for an answer
        download(NAME)
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(UserError, match=r"hub-missing.*pip install 'sc-mamba2\[hub\]'"):
        download(NAME)
    assert scm.from_pretrained(NAME).config.d_model == 64  # reading needs no library


def test_a_model_is_sent_private_with_a_card_and_comes_back(hub, folder):
    model = scm.from_pretrained(folder)
    assert model.push_to_hub(NAME, license="apache-2.0") == f"{hub.address}/{NAME}"
    repo = hub.repos[NAME]
    files = repo.commits[repo.refs["main"]]
    assert repo.private and len(repo.commits) == 1
    assert files.keys() == {*(path.name for path in folder.iterdir()), "README.md"}
    _, head, text = files["README.md"].decode().split("---\n", 2)
    told = yaml.safe_load(head)
    assert told["library_name"] == "sc-mamba2" and told["license"] == "apache-2.0"
    assert {"single-cell", "pretrained"} <= set(told["tags"])
    assert text.strip().startswith((folder / "MODEL_CARD.md").read_text().strip())
    assert "scm model pull lab/blood" in text
    assert read_checkpoint(download(NAME)).sha256 == read_checkpoint(folder).sha256


def test_a_public_place_needs_the_word(hub, folder, tmp_path):
    hub.repos[NAME] = Repo(private=False)
    with pytest.raises(UserError, match="hub-public"):
        upload(folder, NAME)
    assert not hub.repos[NAME].commits
    upload(folder, NAME, public=True)
    upload(folder, "lab/new", public=True)
    assert hub.repos[NAME].commits and not hub.repos["lab/new"].private
    damaged = Path(shutil.copytree(folder, tmp_path / "damaged"))
    (damaged / "config.json").write_text("{}")
    with pytest.raises(UserError, match="checkpoint-sha256"):
        upload(damaged, "lab/damaged")
    assert "lab/damaged" not in hub.repos


def test_imported_weights_keep_their_licence(folder, tmp_path):
    imported = Path(shutil.copytree(folder, tmp_path / "imported"))
    config = json.loads((imported / "config.json").read_text())
    config["origin"]["licence_of_the_weights"] = "CC BY-NC 4.0"
    (imported / "config.json").write_text(json.dumps(config))
    assert "license: cc-by-nc-4.0\n" in hub_card(imported, NAME, license="mit")
    assert "license:" not in hub_card(folder, NAME)
    with pytest.raises(UserError, match="hub-licence"):
        hub_card(folder, NAME, license="MIT\nevil: yes")


def test_the_command_sends_fetches_lists_and_uses_it(hub, folder, tmp_path, no_network):
    assert f"{hub.address}/{NAME}" in scm_says("model", "push", folder, NAME)
    scm_says("model", "push", "scm-tiny", "lab/tiny", "--public", "--license", "apache-2.0")
    assert not hub.repos["lab/tiny"].private
    assert "--checkpoint lab/blood" in scm_says("model", "pull", NAME)
    no_network()
    rows = json.loads(scm_says("model", "list", "--json"))
    assert next(row for row in rows if row["name"] == NAME)["state"] == "cached"
    simulate_cells(cells=8).write_h5ad(tmp_path / "cells.h5ad")
    scm_says("embed", "cells.h5ad", "--checkpoint", NAME, "--output", "out.h5ad")
    done = CliRunner().invoke(
        app, ["annotate", "cells.h5ad", "-c", NAME, "-o", "o.h5ad", "--dry-run"]
    )
    assert "checkpoint-task" in done.output and "in 'lab/blood'" in done.output


@pytest.mark.parametrize(
    "words",
    [
        ("push", "scm-tiny", NAME, "--name", "n"),
        ("push", "scm-tiny", "--public"),
        ("pull", NAME, "--remote", "r"),
    ],
)
def test_the_hub_and_dvc_are_not_mixed(words):
    done = CliRunner().invoke(app, ["model", *words])
    assert done.exit_code == 2 and "options" in done.output
