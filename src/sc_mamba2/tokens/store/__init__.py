"""The token store: tokens on disk that may exceed memory, and may grow.

A folder of memory-mapped shards; docs/tokens.md describes the format. One writer at a time, any
number of readers.
"""

from sc_mamba2.tokens.store.reader import TokenStore
from sc_mamba2.tokens.store.writer import TokenStoreWriter

__all__ = ["TokenStore", "TokenStoreWriter"]
