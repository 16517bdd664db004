"""Cells: the AnnData contract, readers, checks, the standard form, and the names of keys. Lazy."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
