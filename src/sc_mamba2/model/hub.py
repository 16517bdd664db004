"""The Hugging Face Hub: a checkpoint is fetched into its cache, or sent with a card.

Both use the network, are called only where a person asks for them, and need `huggingface_hub`, the
extra ``hub``. How a name finds what was fetched stands in `hub_cache`.
"""

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sc_mamba2.errors import UserError
from sc_mamba2.model.folder import CARD, CONFIG, LISTED, check_folder
from sc_mamba2.model.hub_cache import hub_cache, hub_name
from sc_mamba2.model.manifest import MANIFEST, compare_hashes, read_json, read_manifest

FETCHED = ("*.json", "*.safetensors", "*.csv", "*.md")  # never what could run, such as a pickle
_TAGS = ("biology", "single-cell", "transcriptomics", "mamba2")
_AUTHORS = "cc-by-nc-4.0"  # of the released weights, also after their import


def download(name: str) -> Path:
    """Fetch a checkpoint from the Hub into its cache, and check every hash of it.

    Parameters
    ----------
    name
        ``owner/name`` or ``owner/name@revision``: a branch, a tag or a commit.

    Returns
    -------
    Path
        Its folder. From now on the name means it wherever a checkpoint is named.

    Raises
    ------
    UserError
        Rules `hub-missing`, `hub-name`, `hub-refused`, `network`; those of `check_folder` and
        `checkpoint-sha256` where the repository holds no whole checkpoint of ours.
    """
    repo, revision = _needed(name)
    with _asking(name) as api:
        api.model_info(repo, revision=revision)  # without an answer the cache would serve for new
        options = {"revision": revision, "cache_dir": hub_cache(), "allow_patterns": [*FETCHED]}
        folder = Path(api.snapshot_download(repo, **options))
    _check_whole(folder)
    return folder


def upload(
    folder: str | Path, name: str, *, public: bool = False, license: str | None = None
) -> str:
    """Send a whole checkpoint to the Hub as one commit, with a card that its page shows.

    Parameters
    ----------
    folder
        The checkpoint, as `check_folder` takes it. What its manifest does not list stays here.
    name
        ``owner/name``; made where it is not there yet.
    public
        Whether everybody may read it. A public repository takes nothing without this.
    license
        The Hub's word for the licence of the weights, such as ``apache-2.0``. Imported released
        weights keep their own.

    Returns
    -------
    str
        The address of its page.

    Raises
    ------
    UserError
        Rules `hub-missing`, `hub-name`, `hub-licence`, `hub-refused`, `hub-public`, `network`; those of
        `check_folder`, `checkpoint-sha256`.
    """
    repo, _ = _needed(name, revision=False)
    folder = _check_whole(folder)
    files: dict[str, Any] = {path: folder / path for path in (*read_manifest(folder), MANIFEST)}
    files["README.md"] = hub_card(folder, repo, license).encode()
    with _asking(name) as api:
        from huggingface_hub import CommitOperationAdd

        address = str(api.create_repo(repo, private=not public, exist_ok=True))
        if not public and not api.model_info(repo).private:
            raise UserError(
                "hub-public",
                found=f"{address} is public",
                expected="a private repository, unless --public is given",
                mend="add --public if anyone may read it, or choose another name",
            )
        parts = [CommitOperationAdd(path, content) for path, content in files.items()]
        api.create_commit(repo, parts, commit_message="A checkpoint of sc-mamba2")
    return address


def hub_card(folder: Path, repo: str, license: str | None = None) -> str:
    """Write the Hub's card of a checkpoint: its metadata, the model card, and how it is used."""
    config = read_json(folder / CONFIG)
    imported = "licence_of_the_weights" in (config.get("origin") or {})
    word = _AUTHORS if imported else license
    if word is not None and not re.fullmatch(r"[a-z0-9.-]+", word):
        raise UserError(
            "hub-licence",
            found=f"the licence '{word}'",
            expected="a licence identifier of the Hub, in lower case",
            mend="use one such as apache-2.0, mit, cc-by-4.0, or other",
        )
    tags = [*_TAGS, str(config.get("task", "")).replace("_", "-")]
    head = ["---", "library_name: sc-mamba2", *([f"license: {word}"] if word else []), "tags:"]
    use = [
        "## Use",
        "",
        "```sh",
        "pip install 'sc-mamba2[hub]'",
        f"scm model pull {repo}    # once; then offline, wherever a checkpoint is named",
        "```",
        "",
    ]
    card = (folder / CARD).read_text(encoding="utf-8")
    return "\n".join([*head, *(f"- {tag}" for tag in tags if tag), "---", "", card, *use])


class OnHub:
    """What has `save_pretrained` can be sent to the Hub."""

    def push_to_hub(self, name: str, *, public: bool = False, license: str | None = None) -> str:
        """Send the model to the Hub as ``owner/name``, private unless `public`; see `upload`.

        Returns
        -------
        str
            The address of its page.
        """
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch) / "checkpoint"
            self.save_pretrained(folder)  # type: ignore[attr-defined]
            return upload(folder, name, public=public, license=license)


def _needed(name: str, revision: bool = True) -> tuple[str, str]:
    parts = hub_name(name)
    if parts is None or (not revision and "@" in name):
        raise UserError(
            "hub-name",
            found=f"the name '{name}'",
            expected="owner/name" + (" or owner/name@revision" if revision else ""),
            mend="copy it from the URL of the model's page",
        )
    return parts


def _check_whole(name: str | Path) -> Path:
    folder = check_folder(name)
    compare_hashes(folder, read_manifest(folder), needed=LISTED)
    return folder


@contextmanager
def _asking(name: str) -> Iterator[Any]:
    """Give the Hub's own client, and turn its errors into ours.

    It sends no telemetry, and draws bars on a terminal alone; what it was set to is as before
    afterwards.
    """
    try:
        from huggingface_hub import HfApi, constants, errors, utils
    except ImportError as error:
        raise UserError(
            "hub-missing",
            found="huggingface_hub is not installed",
            expected="the library for the Hub",
            mend="pip install 'sc-mamba2[hub]'",
        ) from error
    hidden = not sys.stderr.isatty() and not utils.are_progress_bars_disabled()
    if hidden:
        utils.disable_progress_bars()
    telling, constants.HF_HUB_DISABLE_TELEMETRY = constants.HF_HUB_DISABLE_TELEMETRY, True
    try:
        yield HfApi(endpoint=os.environ.get("HF_ENDPOINT"), library_name="sc-mamba2")
    except (errors.HfHubHTTPError, errors.HFValidationError) as error:
        raise UserError(
            "hub-refused",
            found=f"the Hub's answer to '{name}': {str(error).splitlines()[0]}",
            expected="an existing model that you may read, or write",
            mend="check the name; for private models and uploads: hf auth login, or set HF_TOKEN",
        ) from error
    except (errors.HTTPError, OSError) as error:
        raise UserError(
            "network",
            found=f"no answer from the Hub ({str(error).splitlines()[0]})",
            expected="a network connection to it",
            mend="connect and try again; or copy the checkpoint folder and give its path",
        ) from error
    finally:
        constants.HF_HUB_DISABLE_TELEMETRY = telling
        if hidden:
            utils.enable_progress_bars()
