"""The scan, arrays in and arrays out: reference twin, CPU path, GPU path, dispatch. No modules. Lazy."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
