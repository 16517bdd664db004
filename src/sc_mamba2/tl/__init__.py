"""Tools in scanpy's manner: each task as a function that adds its results to the cells in memory.

They run the very nodes that the verbs and `scm run` run (`pipelines.in_memory`) and have no algorithm
of their own. Scores, baselines, ablations and reports are left to those; figures stand in `pl`.
"""

from sc_mamba2.tl.annotation import annotate
from sc_mamba2.tl.batch_correction import integrate
from sc_mamba2.tl.embedding import embed
from sc_mamba2.tl.gene_network import network
from sc_mamba2.tl.multiomics import multiome
from sc_mamba2.tl.perturbation import perturb, reverse

__all__ = ["annotate", "embed", "integrate", "multiome", "network", "perturb", "reverse"]
