"""The small files of a checkpoint folder: JSON, model card, and the manifest with every file's sha256.

The folder as a whole is handled in `saving`.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sc_mamba2.errors import UserError
from sc_mamba2.files import sha256_of

if TYPE_CHECKING:
    from sc_mamba2.genes import Vocabulary
    from sc_mamba2.model.config import ModelConfig

MANIFEST = "manifest.json"
_FORMAT = 1


def write_manifest(folder: Path) -> None:
    """Write the manifest of all files in `folder`, recursively; call it last."""
    hashes = {name: sha256_of(folder / name) for name in _files(folder)}
    write_json(folder / MANIFEST, {"format": _FORMAT, "sha256": hashes})


def read_manifest(folder: Path) -> dict[str, str]:
    """Return the manifest's sha256 of each file, by path within the folder.

    Raises a `UserError` (rules `checkpoint-json`, `checkpoint-format`).
    """
    manifest = read_json(folder / MANIFEST)
    if manifest.get("format") != _FORMAT:
        found = f"format {manifest.get('format')!r} in {folder / MANIFEST}"
        raise broken_checkpoint("checkpoint-format", found, f"format {_FORMAT}")
    hashes = manifest.get("sha256")
    return hashes if isinstance(hashes, dict) else {}


def compare_hashes(folder: Path, hashes: Mapping[str, str], needed: Iterable[str]) -> None:
    """Compare the files with the manifest, which must list those in `needed`.

    Unlisted files are ignored, since users may add notes; listed paths outside the folder count as missing.

    Raises
    ------
    UserError
        Rule `checkpoint-sha256`, naming the files that differ.
    """
    present = set(_files(folder))
    changed = [
        name
        for name in sorted({*needed, *hashes})
        if name not in present or hashes.get(name) != sha256_of(folder / name)
    ]
    if changed:
        raise broken_checkpoint(
            "checkpoint-sha256",
            f"{some(changed)} in {folder} differ from {MANIFEST}",
            "unchanged files",
        )


def write_json(path: Path, table: Mapping[str, Any]) -> None:
    """Write a table as JSON, deterministically."""
    text = json.dumps(table, indent=1, sort_keys=True, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON table; raise a `UserError` (rule `checkpoint-json`) if it is invalid."""
    try:
        table = json.loads(read_text(path))
    except (json.JSONDecodeError, RecursionError) as error:
        raise broken_checkpoint("checkpoint-json", f"{path}: {error}", "a JSON table") from error
    if not isinstance(table, dict):
        raise broken_checkpoint("checkpoint-json", f"{path}: no table", "a JSON table")
    return table


def read_text(path: Path) -> str:
    """Read UTF-8 text; raise a `UserError` (rule `checkpoint-json`) if it is invalid."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise broken_checkpoint("checkpoint-json", f"{path}: {error}", "text in UTF-8") from error


def some(names: Iterable[str]) -> str:
    """Join the first eight names, with the number of further ones."""
    names = list(names)
    more = len(names) - 8
    return ", ".join(names[:8]) + (f" and {more} more" if more > 0 else "")


def broken_checkpoint(rule: str, found: str, expected: str) -> UserError:
    """Return the error for a damaged checkpoint."""
    return UserError(
        rule, found=found, expected=expected, mend="write or download the checkpoint again"
    )


def _files(folder: Path) -> list[str]:
    paths = (path for path in folder.rglob("*") if path.is_file())
    names = (path.relative_to(folder).as_posix() for path in paths)
    return sorted(name for name in names if name != MANIFEST)


def card_text(
    title: str, config: "ModelConfig", vocabulary: "Vocabulary", *facts: Mapping[str, Any]
) -> str:
    """Return the text of `MODEL_CARD.md`: the kind of model (`title`), its backbone, then one line per fact.

    `facts` are JSON-serialisable tables; each is written in alphabetical order of its keys.
    """
    lines = [
        f"# {title} of sc-mamba2",
        "",
        f"- backbone: {config.n_layers} layers x {config.d_model}, bidirectional Mamba2",
        f"- vocabulary: {vocabulary.name}, {vocabulary.size:,} rows",
    ]
    for table in facts:
        lines += [f"- {spaced(key)}: {_fact_text(value)}" for key, value in sorted(table.items())]
    return "\n".join(lines) + "\n"


def spaced(key: str) -> str:
    """Return a name with spaces for underscores."""
    return key.replace("_", " ")


def _fact_text(value: Any) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{spaced(key)} {_fact_text(part)}" for key, part in sorted(value.items()))
    if isinstance(value, list):
        return ", ".join(f"`{part}`" for part in value) or "none"
    return f"{value:,}" if isinstance(value, int) else str(value)
