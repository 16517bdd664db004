"""Tokens: value bins, the tokenizer, ragged token arrays, batches and their order. No AnnData here. Lazy."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
