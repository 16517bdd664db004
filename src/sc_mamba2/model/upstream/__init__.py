"""Import of the authors' released weights: read safely, every tensor accounted for, saved in our format.

`files` reads the folder, `shape` derives config and heads, `names` maps the tensors, `genes` the
vocabulary, `convert` combines them. Contains no code of the release.
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
