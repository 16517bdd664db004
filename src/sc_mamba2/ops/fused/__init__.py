"""Our own Triton kernels for the mixer between its projections: both directions in one launch.

`tiles` reads tokens of a chunk in scan order, `scan` is the recurrence, `norm` the gate with both norms,
`convolution` the convolution, each with its gradient; `path` combines them.
"""
