"""The checkpoint folder: written whole or not at all, read with every promise checked. No pickle.

`config.json` (model config, task, settings, tokenizer, what else the writer adds),
`vocabulary.json`, `model.safetensors`, `MODEL_CARD.md`, `manifest.json` with the sha256 of each.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from sc_mamba2.errors import UserError
from sc_mamba2.files import atomic_folder
from sc_mamba2.genes import Vocabulary
from sc_mamba2.model.config import ModelConfig

CONFIG, VOCABULARY, TENSORS = "config.json", "vocabulary.json", "model.safetensors"
CARD, MANIFEST = "MODEL_CARD.md", "manifest.json"
_LISTED = (CONFIG, VOCABULARY, TENSORS, CARD)
_FORMAT = 1
_NAMED_AT_MOST = 8
_WRITE_AGAIN = "write or fetch the checkpoint again"


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint folder holds.

    Parameters
    ----------
    state
        Tensors by name, on the CPU.
    config
        `config.json` as it was written.
    vocabulary
        The vocabulary that the weights belong to.
    sha256
        Hash of `manifest.json`, which hashes every file: the checkpoint's identity.
    """

    state: dict[str, Tensor]
    config: dict[str, Any]
    vocabulary: Vocabulary
    sha256: str

    def model_config(self) -> ModelConfig:
        """Give the shape of the backbone, from ``config["model"]``.

        Raises
        ------
        UserError
            Rules `checkpoint-config`, `model-config`, and `checkpoint-vocabulary` where the shape
            and the vocabulary do not belong together.
        """
        fields = self.config.get("model")
        if not isinstance(fields, dict):
            raise _refuse("checkpoint-config", f"no table 'model' in {CONFIG}", "a model config")
        config = ModelConfig.build(**fields)
        claimed = (config.vocabulary_size, config.pad_id)
        held = (self.vocabulary.size, self.vocabulary.pad_id)
        if claimed != held:
            raise _refuse(
                "checkpoint-vocabulary",
                f"{held[0]} tokens, pad id {held[1]} in {VOCABULARY}",
                f"{claimed[0]} tokens, pad id {claimed[1]}, as {CONFIG} says",
            )
        return config


def write_checkpoint(
    folder: str | Path,
    *,
    state: Mapping[str, Tensor],
    config: Mapping[str, Any],
    vocabulary: Vocabulary,
    model_card: str,
    overwrite: bool = False,
) -> None:
    """Write a checkpoint folder, whole or not at all.

    Parameters
    ----------
    folder
        Where; its parents are made.
    state
        Tensors by name; bit for bit what `read_checkpoint` gives back.
    config
        Ready for JSON; ``config["model"]`` is a dumped `ModelConfig`.
    vocabulary
        The vocabulary that the weights belong to.
    model_card
        Text of `MODEL_CARD.md`.
    overwrite
        Whether a checkpoint that stands there is replaced, once the new one is whole.

    Raises
    ------
    UserError
        Rule `checkpoint-exists`, when `folder` is there and may not, or is no checkpoint and must
        not, be replaced.
    """
    folder = Path(folder)
    _check_free(folder, overwrite)
    with atomic_folder(folder) as draft:
        (draft / CONFIG).write_text(_as_json(config), encoding="utf-8")
        (draft / VOCABULARY).write_text(vocabulary.to_json(), encoding="utf-8")
        (draft / CARD).write_text(model_card, encoding="utf-8")
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
        save_file(tensors, draft / TENSORS)
        hashes = {name: _sha256(draft / name) for name in _LISTED}
        manifest = _as_json({"format": _FORMAT, "sha256": hashes})
        (draft / MANIFEST).write_text(manifest, encoding="utf-8")


def read_checkpoint(folder: str | Path, verify: bool = True) -> Checkpoint:
    """Read a checkpoint folder.

    Parameters
    ----------
    folder
        A folder that `write_checkpoint` wrote.
    verify
        Whether the sha256 of every file is compared with the manifest.

    Raises
    ------
    UserError
        Rules `checkpoint-folder` (no folder), `checkpoint-file` (a file is missing),
        `checkpoint-format` (another version), `checkpoint-sha256` (a file was changed),
        `checkpoint-json` (unreadable JSON), `checkpoint-tensors` (unreadable tensors), and those of
        `Vocabulary.from_json`.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(
            "checkpoint-folder",
            found=f"no folder at {folder}",
            expected="a checkpoint folder",
            mend="give the path of a folder that holds " + MANIFEST,
        )
    for name in (*_LISTED, MANIFEST):
        if not (folder / name).is_file():
            raise _refuse("checkpoint-file", f"no {name} in {folder}", "all files of a checkpoint")
    manifest = _read_json(folder / MANIFEST)
    if manifest.get("format") != _FORMAT:
        found = f"format {manifest.get('format')!r} in {folder / MANIFEST}"
        raise _refuse("checkpoint-format", found, f"format {_FORMAT}")
    if verify:
        _compare_hashes(folder, manifest.get("sha256"))
    return Checkpoint(
        state=_read_tensors(folder / TENSORS),
        config=_read_json(folder / CONFIG),
        vocabulary=Vocabulary.from_json(_read_text(folder / VOCABULARY)),
        sha256=_sha256(folder / MANIFEST),
    )


def load_state(module: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Load tensors into a module, all of them or none.

    Parameters
    ----------
    module
        Takes the tensors.
    state
        Tensors by name.

    Raises
    ------
    UserError
        Rule `checkpoint-state`, naming every tensor that is missing, unexpected, of another shape
        or not finite.
    """
    own = module.state_dict()
    shared = [name for name in own if name in state]
    faults = {
        "missing": [name for name in own if name not in state],
        "unexpected": [name for name in state if name not in own],
        "of another shape": [
            f"{name} {tuple(state[name].shape)} for {tuple(own[name].shape)}"
            for name in shared
            if state[name].shape != own[name].shape
        ],
        "not finite": [name for name in shared if not bool(torch.isfinite(state[name]).all())],
    }
    found = "; ".join(f"{kind}: {_some(names)}" for kind, names in faults.items() if names)
    if found:
        raise UserError(
            "checkpoint-state",
            found=found,
            expected=f"the {len(own)} tensors of {type(module).__name__}, finite",
            mend="use the checkpoint with the model config that it was written with",
        )
    module.load_state_dict(dict(state), strict=True)


def _check_free(folder: Path, overwrite: bool) -> None:
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    ours = (folder / MANIFEST).is_file()
    if overwrite and ours:
        return
    raise UserError(
        "checkpoint-exists",
        found=f"{'a checkpoint' if ours else 'something that is no checkpoint'} at {folder}",
        expected="a free place",
        mend="name another folder" + (", or allow overwriting" if ours else ""),
    )


def _compare_hashes(folder: Path, hashes: Any) -> None:
    known = hashes if isinstance(hashes, dict) else {}
    changed = [name for name in _LISTED if known.get(name) != _sha256(folder / name)]
    if changed:
        raise _refuse(
            "checkpoint-sha256",
            f"{_some(changed)} in {folder} differ from {MANIFEST}",
            "files as they were written",
        )


def _read_tensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (SafetensorError, ValueError, RuntimeError, KeyError, OverflowError) as error:
        raise _refuse(
            "checkpoint-tensors", f"{path}: {error}", "a whole safetensors file"
        ) from error


def _read_json(path: Path) -> dict[str, Any]:
    try:
        table = json.loads(_read_text(path))
    except (json.JSONDecodeError, RecursionError) as error:
        raise _refuse("checkpoint-json", f"{path}: {error}", "a JSON table") from error
    if not isinstance(table, dict):
        raise _refuse("checkpoint-json", f"{path}: no table", "a JSON table")
    return table


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise _refuse("checkpoint-json", f"{path}: {error}", "text in UTF-8") from error


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _as_json(table: Mapping[str, Any]) -> str:
    return json.dumps(table, indent=1, sort_keys=True, allow_nan=False) + "\n"


def _some(names: Iterable[str]) -> str:
    names = list(names)
    more = len(names) - _NAMED_AT_MOST
    return ", ".join(names[:_NAMED_AT_MOST]) + (f" and {more} more" if more > 0 else "")


def _refuse(rule: str, found: str, expected: str) -> UserError:
    return UserError(rule, found=found, expected=expected, mend=_WRITE_AGAIN)
