"""The CPU path: the scan in blocks of tokens that stay in cache, forward and backward by hand.

`plan` says which tokens a block holds, `ssd` and `convolution` are a block's arithmetic
without autograd, `mixer` adds the norm and puts them together, `scan` runs the blocks and is what others import.
"""

from sc_mamba2.ops.blocks.scan import scan_in_blocks

__all__ = ["scan_in_blocks"]
