"""Reporting: the style of figures and the one-file HTML report, independent of tasks. Imports are lazy."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
