"""Genes: the offline table of identifiers, the mapping of names to it, and the vocabulary. Lazy."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
