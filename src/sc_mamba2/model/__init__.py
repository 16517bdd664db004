"""The model: config and presets, backbone, heads, losses, task and pretrained model,
checkpoint folder; `upstream` imports the released weights.

The scan is in `ops`, training in `training`, a task's own head in `tasks`. Imports are lazy.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
