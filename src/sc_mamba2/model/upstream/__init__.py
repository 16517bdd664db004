"""Weights of the authors' release: read safely, every tensor accounted for, written as ours.

`files` reads the folder, `shape` derives config and heads, `names` maps the tensors, `genes` the
vocabulary, `convert` puts them together. No code of the release is in here.
"""

from sc_mamba2.model.upstream.convert import LICENCE, ImportReport, import_release
from sc_mamba2.model.upstream.files import Release, read_release
from sc_mamba2.model.upstream.genes import released_vocabulary

__all__ = [
    "LICENCE",
    "ImportReport",
    "Release",
    "import_release",
    "read_release",
    "released_vocabulary",
]
