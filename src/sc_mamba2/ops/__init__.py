"""The scan on plain arrays: reference, CPU path, GPU paths, dispatch. No modules. Imports are lazy."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
