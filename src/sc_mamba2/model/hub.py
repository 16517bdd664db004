"""Download checkpoints from the Hugging Face Hub into its cache, or upload them with a model card.

Both use the network, only at the user's explicit request, and need `huggingface_hub` (extra ``hub``).
`hub_cache` finds downloaded checkpoints by name.
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

FETCHED = ("*.json", "*.safetensors", "*.csv", "*.md")  # nothing executable, such as a pickle
_TAGS = ("biology", "single-cell", "transcriptomics", "mamba2")
_AUTHORS = "cc-by-nc-4.0"  # of the released weights, also after their import


def download(name: str) -> Path:
    """Download a checkpoint from the Hub into its cache, and verify every hash.

    Parameters
    ----------
    name
        ``owner/name`` or ``owner/name@revision``: a branch, a tag or a commit.

    Returns
    -------
    Path
        Its folder. From now on the name works wherever a checkpoint is expected.

    Raises
    ------
    UserError
        Rules `hub-missing`, `hub-name`, `hub-refused`, `network`; those of `check_folder` and
        `checkpoint-sha256` if the repository does not hold a complete checkpoint of ours.
    """
    repo, revision = _needed(name)
    with _client(name) as api:
        api.model_info(repo, revision=revision)  # fail offline: the cache would pass for the newest
        options = {"revision": revision, "cache_dir": hub_cache(), "allow_patterns": [*FETCHED]}
        folder = Path(api.snapshot_download(repo, **options))
    _check_whole(folder)
    return folder


def upload(
    folder: str | Path, name: str, *, public: bool = False, license: str | None = None
) -> str:
    """Upload a complete checkpoint to the Hub as one commit, with the card for its page.

    Parameters
    ----------
    folder
        The checkpoint, as accepted by `check_folder`. Files missing from its manifest are not uploaded.
    name
        ``owner/name``; created if needed.
    public
        Whether everybody may read it. Required to upload to a public repository.
    license
        The Hub's identifier of the weights' licence, such as ``apache-2.0``. Imported released weights
        keep their own.

    Returns
    -------
    str
        The URL of its page.

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
    with _client(name) as api:
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
    """Return the Hub card of a checkpoint: metadata, model card and usage."""
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
    """Mixin that uploads a model with `save_pretrained` to the Hub."""

    def push_to_hub(self, name: str, *, public: bool = False, license: str | None = None) -> str:
        """Upload the model to the Hub as ``owner/name``, private unless `public`; see `upload`.

        Returns
        -------
        str
            The URL of its page.
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
def _client(name: str) -> Iterator[Any]:
    """Yield the Hub's client, and convert its errors to `UserError`.

    Telemetry is off and progress bars show on a terminal only; both settings are restored afterwards.
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
    disabled, constants.HF_HUB_DISABLE_TELEMETRY = constants.HF_HUB_DISABLE_TELEMETRY, True
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
        constants.HF_HUB_DISABLE_TELEMETRY = disabled
        if hidden:
            utils.enable_progress_bars()
