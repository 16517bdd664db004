"""The CPU path: the scan in blocks of tokens that fit in cache, with hand-written forward and backward.

`plan` assigns tokens to blocks, `ssd` and `convolution` compute a block without autograd, `mixer` adds the
norm and combines them, `scan` runs the blocks and is what others import.
"""

from sc_mamba2.ops.blocks.scan import scan_in_blocks

__all__ = ["scan_in_blocks"]
