"""The scan, arrays in and arrays out: reference twin, chunked path, dispatch. No modules."""

from sc_mamba2.ops.bidirectional import MixerWeights, bidirectional_scan, directional_scan
from sc_mamba2.ops.chunked import ssd_chunked
from sc_mamba2.ops.convolution import causal_convolution
from sc_mamba2.ops.dispatch import ScanPath, choose_path
from sc_mamba2.ops.flip import real_tokens, smart_flip
from sc_mamba2.ops.gated_norm import gated_norm
from sc_mamba2.ops.reference import ssd_reference
from sc_mamba2.ops.row_blocks import in_row_blocks

__all__ = [
    "MixerWeights",
    "ScanPath",
    "bidirectional_scan",
    "causal_convolution",
    "choose_path",
    "directional_scan",
    "gated_norm",
    "in_row_blocks",
    "real_tokens",
    "smart_flip",
    "ssd_chunked",
    "ssd_reference",
]
