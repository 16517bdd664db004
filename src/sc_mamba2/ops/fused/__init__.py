"""The mixer between its projections as kernels of our own, in Triton: both directions in one launch.

`tiles` reads tokens of a chunk in scan order, `scan` is the recurrence and its gradient, `norm` the gate
with both norms, `convolution` the gradient of the convolution; `path` puts them together.
"""
