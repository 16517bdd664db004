"""What is predicted of a feature goes to the user's own name of it."""

import pandas as pd
import pytest

from sc_mamba2.tasks.multiomics.predict import names_of_features


@pytest.mark.parametrize(
    ("kind", "own", "expected"),
    [
        ("rna", ["CD3E", "nothing", "GRCh38_CD4"], ["ENSG00000198851", "", ""]),
        ("rna", ["ENSG00000198851.9"], ["ENSG00000198851"]),
        ("protein", ["CD3", "CD4_TotalSeqB"], ["CD3", "CD4_TotalSeqB"]),
        (
            "atac",
            ["chr1:10-20", "chr1-10-20", "GRCh38_chr1:10-20", "1_10_20", "x"],
            ["chr1:10-20"] * 4 + [""],
        ),
    ],
)
def test_names_of_features(kind, own, expected):
    assert list(names_of_features(kind, pd.DataFrame(index=own))) == expected
