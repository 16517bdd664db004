"""Corpora: many files as one ordered, filtered, deduplicated set of cells, read in blocks. Lazy."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
