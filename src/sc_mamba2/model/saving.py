"""The checkpoint folder: written atomically, verified when read. No pickle.

It holds `config.json` (model config, task, settings, tokenizer, entries of the writer),
`vocabulary.json`, `model.safetensors`, `MODEL_CARD.md`, further files of the writer, and `manifest.json`
with the sha256 of each. JSON and hashes are handled in `manifest`.
"""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from sc_mamba2.errors import UserError
from sc_mamba2.files import atomic_folder, sha256_of
from sc_mamba2.genes import Vocabulary
from sc_mamba2.model.config import ModelConfig
from sc_mamba2.model.folder import CARD, CONFIG, LISTED, TENSORS, VOCABULARY, check_folder
from sc_mamba2.model.manifest import (
    MANIFEST,
    broken_checkpoint,
    compare_hashes,
    read_json,
    read_manifest,
    read_text,
    some,
    write_json,
    write_manifest,
)
from sc_mamba2.tokens import TokenizerRules


@dataclass(frozen=True)
class Checkpoint:
    """The content of a checkpoint folder.

    Parameters
    ----------
    state, vocabulary
        Tensors by name, on the CPU, and their vocabulary.
    config
        Content of `config.json`.
    sha256
        Hash of `manifest.json`, which hashes every file: the checkpoint's identity.
    """

    state: dict[str, Tensor]
    config: dict[str, Any]
    vocabulary: Vocabulary
    sha256: str

    def model_config(self) -> ModelConfig:
        """Return the backbone's config, from ``config["model"]``.

        Raises a `UserError` of the rules `checkpoint-config`, `model-config`, or, where config and
        vocabulary do not match, `checkpoint-vocabulary`.
        """
        fields = self.config.get("model")
        if not isinstance(fields, dict):
            found = f"no table 'model' in {CONFIG}"
            raise broken_checkpoint("checkpoint-config", found, "a model config")
        config = ModelConfig.build(**fields)
        claimed = (config.vocabulary_size, config.pad_id)
        held = (self.vocabulary.size, self.vocabulary.pad_id)
        if claimed != held:
            raise broken_checkpoint(
                "checkpoint-vocabulary",
                f"{held[0]} tokens, pad id {held[1]} in {VOCABULARY}",
                f"{claimed[0]} tokens, pad id {claimed[1]}, as {CONFIG} says",
            )
        return config

    def token_rules(self) -> TokenizerRules:
        """Return the rules of its tokenizer; raise a `UserError` (rule `checkpoint-config`) if invalid."""
        try:
            return TokenizerRules(**self.config["tokenizer"])
        except (KeyError, TypeError, ValueError) as error:
            found = f"a missing or invalid tokenizer in {CONFIG} ({error})"
            expected = "the tokenizer rules it was trained with"
            raise broken_checkpoint("checkpoint-config", found, expected) from error


def write_checkpoint(
    folder: str | Path,
    *,
    state: Mapping[str, Tensor],
    config: Mapping[str, Any],
    vocabulary: Vocabulary,
    model_card: str,
    overwrite: bool = False,
    add_files: Callable[[Path], None] = lambda draft: None,
) -> None:
    """Write a checkpoint folder atomically.

    Parameters
    ----------
    folder
        Where to write it; parents are created.
    state
        Tensors by name; `read_checkpoint` returns them bit for bit.
    config
        JSON-serialisable; ``config["model"]`` is a dumped `ModelConfig`.
    vocabulary
        The vocabulary of the weights.
    model_card
        Text of `MODEL_CARD.md`.
    overwrite
        Whether to replace an existing checkpoint, once the new one is complete.
    add_files
        Writes further files into the folder it is given; the manifest lists them too.

    Raises
    ------
    UserError
        Rule `checkpoint-exists`: `folder` is not empty, and `overwrite` is off or it is not a checkpoint.
    """
    folder = Path(folder)
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        ours = (folder / MANIFEST).is_file()
        if not (overwrite and ours):
            raise UserError(
                "checkpoint-exists",
                found=f"{'a checkpoint' if ours else 'something that is not a checkpoint'} at {folder}",
                expected="a path that does not exist",
                mend="choose another folder" + (", or allow overwriting" if ours else ""),
            )
    with atomic_folder(folder) as draft:
        write_json(draft / CONFIG, config)
        (draft / VOCABULARY).write_text(vocabulary.to_json(), encoding="utf-8")
        (draft / CARD).write_text(model_card, encoding="utf-8")
        write_tensors(draft / TENSORS, state)
        add_files(draft)
        write_manifest(draft)


def read_checkpoint(folder: str | Path, verify: bool = True) -> Checkpoint:
    """Read a checkpoint folder.

    Parameters
    ----------
    folder
        A folder that `write_checkpoint` wrote, or the name of a shipped one.
    verify
        Whether to compare the sha256 of every file with the manifest.

    Raises
    ------
    UserError
        Rules `checkpoint-folder` (no folder), `checkpoint-file` (a file is missing),
        `checkpoint-format` (another version), `checkpoint-sha256` (a changed file),
        `checkpoint-json` (unreadable JSON), `checkpoint-tensors` (unreadable tensors), and those of
        `Vocabulary.from_json`.
    """
    folder = check_folder(folder)
    hashes = read_manifest(folder)
    if verify:
        compare_hashes(folder, hashes, needed=LISTED)
    return Checkpoint(
        state=read_tensors(folder / TENSORS),
        config=read_json(folder / CONFIG),
        vocabulary=Vocabulary.from_json(read_text(folder / VOCABULARY)),
        sha256=sha256_of(folder / MANIFEST),
    )


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write tensors from any device; `read_tensors` returns them bit for bit.

    System errors are raised as `OSError` even where safetensors wraps them.
    """
    path.touch()
    mode = path.stat().st_mode  # safetensors would make the file readable by its owner only
    whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    try:
        save_file(whole, path)
    except SafetensorError as error:
        code = re.search(r"os error (\d+)", str(error))
        if code is None:
            raise
        raise OSError(int(code[1]), os.strerror(int(code[1])), str(path)) from error
    path.chmod(mode)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read tensors to the CPU; raise a `UserError` (rule `checkpoint-tensors`) if unreadable."""
    try:
        return load_file(path)
    except (SafetensorError, ValueError, RuntimeError, KeyError, OverflowError) as error:
        found, expected = f"{path}: {error}", "a complete safetensors file"
        raise broken_checkpoint("checkpoint-tensors", found, expected) from error


def load_state(module: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Load tensors by name into a module, all of them or none.

    Raises
    ------
    UserError
        Rule `checkpoint-state`, naming every tensor that is missing, unexpected, of the wrong shape or not
        finite.
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
    found = "; ".join(f"{kind}: {some(names)}" for kind, names in faults.items() if names)
    if found:
        raise UserError(
            "checkpoint-state",
            found=found,
            expected=f"the {len(own)} tensors of {type(module).__name__}, finite",
            mend="use the checkpoint with the model config it was saved with",
        )
    module.load_state_dict(dict(state), strict=True)
