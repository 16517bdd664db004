"""Write a token store: blocks of cells come in, shards go out, one writer at a time."""

import shutil
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from sc_mamba2.errors import UserError
from sc_mamba2.files import atomic_file, atomic_folder, sole_writer
from sc_mamba2.tokens.store.manifest import (
    FILES,
    MANIFEST,
    OBS,
    TOKENIZER,
    FileEntry,
    Manifest,
    ShardEntry,
    column_types,
    read_manifest,
    stack_obs,
    write_manifest,
)
from sc_mamba2.tokens.store.reader import read_tokenizer
from sc_mamba2.tokens.tokenized import TokenizedCells, offsets_of
from sc_mamba2.tokens.tokenizer import Tokenizer


class TokenStoreWriter:
    """Create a store, or append to one; a context manager that holds the store's lock.

    A shard is written as soon as it is full, the rest at the end. A shard and the manifest that
    lists it are written atomically: after a kill the store holds the finished shards, and the
    operating system releases the lock. After an exception the cells that wait for a shard are
    dropped.

    Parameters
    ----------
    folder
        Folder of the store; created if missing.
    tokenizer
        The tokenizer that made the tokens; stored once.
    tokens_a_shard
        The cell that reaches this number closes a shard; 7 bytes per token with the vocabulary
        gencode-v44 and at most 256 bins.

    Raises
    ------
    UserError
        On entering: another writer is active, the store was written with another tokenizer, or it
        is damaged.
    """

    def __init__(
        self, folder: str | Path, tokenizer: Tokenizer, tokens_a_shard: int = 2**25
    ) -> None:
        assert tokens_a_shard > 0
        self.folder, self.tokenizer = Path(folder), tokenizer
        self.tokens_a_shard = tokens_a_shard
        self._waiting: list[TokenizedCells] = []

    def __enter__(self) -> "TokenStoreWriter":
        """Take the lock, and create the store or read its state."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            again = "wait until it has ended, or write another store"
            lock = sole_writer(
                self.folder / ".lock", to=f"the token store '{self.folder}'", mend=again
            )
            stack.enter_context(lock)
            # Leftovers of a killed writer; the lock is held, so none is in use.
            for path in self.folder.glob(".*-*"):
                if path.is_dir():
                    shutil.rmtree(path)
            self._manifest = self._start()
            self._held = stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        """Write the remaining cells, unless an error occurred, and release the lock."""
        try:
            if kind is None and self._waiting:
                self._write_shard()
        finally:
            self._waiting = []
            self._held.close()

    def __len__(self) -> int:
        """Return the number of cells, both stored and waiting for a shard."""
        stored = sum(shard.cells for shard in self._manifest.shards)
        return stored + sum(map(len, self._waiting))

    def add(self, block: TokenizedCells) -> None:
        """Append cells, tokenised with the store's tokenizer.

        Raises a `UserError` if the columns of their `obs` differ from those of earlier cells.
        """
        self._check(block)
        while len(block):
            room = self.tokens_a_shard - sum(int(part.offsets[-1]) for part in self._waiting)
            # The cell that reaches the limit closes the shard, whatever the blocks.
            fitting = 1 + int(np.searchsorted(block.offsets[1:], room))
            self._waiting.append(block.take(np.arange(min(fitting, len(block)))))
            if fitting > len(block):
                break
            self._write_shard()
            block = block.take(np.arange(fitting, len(block)))

    def _check(self, block: TokenizedCells) -> None:
        assert block.gene_rows.max(initial=0) < self.tokenizer.vocabulary.size
        assert block.bins.max(initial=0) < self.tokenizer.rules.n_bins
        columns = list(map(str, block.obs.columns))
        before = list(self._waiting[0].obs.columns) if self._waiting else self._manifest.obs_columns
        if before is not None and columns != before:
            raise UserError(
                "store-columns",
                found=f"cells with the columns {', '.join(columns) or 'none'}",
                expected=f"those of the store, in its order: {', '.join(before) or 'none'}",
                mend="give every block of cells the same columns of obs",
            )

    def _start(self) -> Manifest:
        text = self.tokenizer.to_json()
        if (self.folder / MANIFEST).exists():
            manifest = read_manifest(self.folder)
            if read_tokenizer(self.folder, manifest).to_json() != text:
                raise UserError(
                    "store-tokenizer",
                    found=f"cells for '{self.folder}' with another vocabulary or other rules",
                    expected="the tokenizer with which the store was started",
                    mend="tokenise with TokenStore.open(folder).tokenizer, or write another store",
                )
            return manifest
        with atomic_file(self.folder / TOKENIZER) as draft:
            draft.write_text(text, "utf-8")
        manifest = Manifest(tokenizer=FileEntry.of(self.folder / TOKENIZER))
        write_manifest(self.folder, manifest)
        return manifest

    def _write_shard(self) -> None:
        blocks, shards = self._waiting, self._manifest.shards
        path = self.folder / f"shard-{len(shards):06d}"
        offsets = offsets_of(np.concatenate([block.lengths for block in blocks]))
        obs = stack_obs([block.obs for block in blocks])
        with atomic_folder(path) as draft:
            for name, dtype in column_types(self.tokenizer).items():
                column = offsets
                if name != "offsets":
                    column = np.concatenate([getattr(one, name).astype(dtype) for one in blocks])
                np.save(draft / f"{name}.npy", column, allow_pickle=False)
            obs.to_parquet(draft / OBS)
            files = {name: FileEntry.of(draft / name) for name in FILES}
        entry = ShardEntry(name=path.name, cells=len(obs), tokens=int(offsets[-1]), files=files)
        columns = list(map(str, obs.columns))
        manifest = self._manifest.model_copy(
            update={"obs_columns": columns, "shards": [*shards, entry]}
        )
        write_manifest(self.folder, manifest)
        self._manifest, self._waiting = manifest, []
