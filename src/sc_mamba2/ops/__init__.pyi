from .choice import (
    Work as Work,
    choices_file as choices_file,
    fastest as fastest,
    measured_choices as measured_choices,
)
from .dispatch import (
    bidirectional_scan as bidirectional_scan,
    choose_path as choose_path,
    directional_scan as directional_scan,
    kernel_paths as kernel_paths,
)
from .kernels import (
    fused_missing as fused_missing,
    kernels_missing as kernels_missing,
    mix_each_direction as mix_each_direction,
)
from .options import ScanPath as ScanPath
from .reference import ssd_reference as ssd_reference
from .rows import (
    cell_numbers as cell_numbers,
    cell_spans as cell_spans,
    real_tokens as real_tokens,
    smart_flip as smart_flip,
)
from .weights import MixerWeights as MixerWeights
