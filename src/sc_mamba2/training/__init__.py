"""Training: fine-tuning in `loop`, pretraining in `run`, and what they share. It knows no task.

What a long training leaves behind: checkpoints that it resumes from, and a journal. Lazy.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
