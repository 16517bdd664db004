"""The token store: tokens on disk that may be larger than the memory, and may grow.

A folder of shards that are mapped into memory; its format stands in docs/tokens.md. One writer at a
time, any number of readers.
"""

from sc_mamba2.tokens.store.reader import TokenStore
from sc_mamba2.tokens.store.writer import TokenStoreWriter

__all__ = ["TokenStore", "TokenStoreWriter"]
