"""Counter-based randomness: numbers that depend on their inputs, not on earlier draws.

A generator returns numbers in turn, so a cell's randomness would depend on its batch; a hash of
(seed, epoch, cell, gene) does not. The mixer is splitmix64's (Steele, Lea and Flood, 2014).
"""

from functools import reduce

import numpy as np

_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_FACTORS = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_SHIFTS = np.uint64(30), np.uint64(27), np.uint64(31)


def mix(bits: np.ndarray) -> np.ndarray:
    """Scramble uint64 bijectively: the first output of splitmix64 with `bits` as its state."""
    bits = bits + _GAMMA
    bits ^= bits >> _SHIFTS[0]
    bits *= _FACTORS[0]
    bits ^= bits >> _SHIFTS[1]
    bits *= _FACTORS[1]
    bits ^= bits >> _SHIFTS[2]
    return bits


def hash_of(*parts: np.ndarray | int) -> np.ndarray:
    """Hash non-negative integers together, broadcast against each other; their order matters.

    Returns uint64 of at least one dimension.
    """
    arrays = [np.atleast_1d(part).astype(np.uint64) for part in parts]
    return reduce(lambda state, part: mix(state ^ part), arrays, np.zeros(1, np.uint64))


def as_uniform(bits: np.ndarray) -> np.ndarray:
    """Convert hashes to float64, 0 to below 1, using their upper 53 bits."""
    return (bits >> np.uint64(11)) * 2.0**-53
