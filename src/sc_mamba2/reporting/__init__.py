"""Reporting: one look for figures, and the one-file HTML report. It knows no task. Lazy."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
