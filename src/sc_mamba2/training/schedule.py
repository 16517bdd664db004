"""The learning rate over the steps of a training."""

import math


def rate_factor(step: int, steps: int, warmup_share: float, final_share: float) -> float:
    """Return the factor on the highest rate: linear warm-up, then half a cosine.

    Parameters
    ----------
    step, steps
        The step, from 0, and the number of steps.
    warmup_share
        Share of the steps with a rising rate, 0 to 1.
    final_share
        Factor at the last step, 0 to 1.
    """
    warmup = max(1, round(warmup_share * steps))
    if step < warmup:
        return (step + 1) / warmup
    done = (step - warmup) / max(1, steps - warmup)
    return final_share + (1 - final_share) * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))
