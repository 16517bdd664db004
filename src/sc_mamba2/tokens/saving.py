"""Tokens between two nodes of a pipeline: `tokens.safetensors` (ragged arrays) and `obs.parquet`.

They are written once and read whole, and their tokenizer is an entry of the catalog of its own. What
is too large for the memory, or grows, is a `TokenStore`.
"""

from pathlib import Path

import pandas as pd
from safetensors.numpy import load_file, save_file

from sc_mamba2.errors import UserError
from sc_mamba2.files import atomic_folder
from sc_mamba2.tokens.tokenized import TokenizedCells

_ARRAYS = ("gene_rows", "bins", "values", "offsets")


def save_tokens(tokens: TokenizedCells, folder: str | Path) -> None:
    """Write tokens as a folder; it appears whole or not at all."""
    with atomic_folder(folder) as draft:
        save_file({name: getattr(tokens, name) for name in _ARRAYS}, draft / "tokens.safetensors")
        tokens.obs.to_parquet(draft / "obs.parquet")


def load_tokens(folder: str | Path) -> TokenizedCells:
    """Read a folder that `save_tokens` wrote.

    Raises
    ------
    UserError
        The folder or one of its files is missing or damaged.
    """
    folder = Path(folder)
    try:
        arrays = load_file(folder / "tokens.safetensors")
        obs = pd.read_parquet(folder / "obs.parquet")
        return TokenizedCells(**{name: arrays[name] for name in _ARRAYS}, obs=obs)
    except Exception as error:
        raise UserError(
            "tokens-damaged",
            found=f"'{folder}' is no whole token folder ({error})",
            expected="tokens.safetensors and obs.parquet",
            mend="make it again with `scm run --pipeline tokenization`",
        ) from error
