"""Training, independent of tasks: fine-tuning in `loop`, pretraining in `run`, and shared parts.

A long training writes checkpoints to resume from, and a journal. Imports are lazy.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
