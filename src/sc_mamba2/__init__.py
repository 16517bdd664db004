"""SC-MAMBA2: a bidirectional Mamba2 model of the whole transcriptome.

The package is lazy: importing it loads nothing heavy. The map of the rooms stands in the README.
"""

__version__ = "0.1.0"
