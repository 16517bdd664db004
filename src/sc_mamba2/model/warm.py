"""Compile and measure the scan's paths on a GPU ahead of the first run, for common shapes."""

import torch

from sc_mamba2.model.config import preset
from sc_mamba2.model.mixer import Mamba2Mixer

# Rows and tokens: batches of cells with their expressed genes, and long cells.
_SHAPES = ((64, 512), (64, 2048), (16, 8192))


def warm_up(name: str, device: torch.device) -> int:
    """Run a mixer of a preset on common shapes in half precision, forward and training; return the number of runs.

    Afterwards the kernels are compiled, and `ops.measured_choices` has the fastest path for each shape.

    Raises
    ------
    UserError
        Rule `preset`, for an unknown name.
    """
    config = preset(name, 2)
    mixer = Mamba2Mixer(config).to(device)
    for rows, length in _SHAPES:
        lengths = torch.full((rows,), length, device=device)
        x_BLD = torch.randn(rows, length, config.d_model, device=device)
        for training in (False, True):
            with torch.set_grad_enabled(training), torch.autocast(device.type, torch.bfloat16):
                y_BLD = mixer.both(x_BLD.requires_grad_(training), lengths)
            if training:
                y_BLD.sum().backward()
    return 2 * len(_SHAPES)
