"""The scan, arrays in and arrays out: reference twin, CPU path, GPU path, dispatch. No modules."""

from sc_mamba2.ops.dispatch import ScanPath, bidirectional_scan, choose_path, directional_scan
from sc_mamba2.ops.kernels import kernels_missing
from sc_mamba2.ops.reference import ssd_reference
from sc_mamba2.ops.rows import cell_numbers, cell_spans, real_tokens, smart_flip
from sc_mamba2.ops.weights import MixerWeights

__all__ = [
    "MixerWeights",
    "ScanPath",
    "bidirectional_scan",
    "cell_numbers",
    "cell_spans",
    "choose_path",
    "directional_scan",
    "kernels_missing",
    "real_tokens",
    "smart_flip",
    "ssd_reference",
]
