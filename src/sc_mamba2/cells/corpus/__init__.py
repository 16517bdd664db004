"""Corpora: many files as one ordered set of cells, filtered, each cell once, a block at a time. Lazy."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
