import numpy as np
import pandas as pd
import pytest

from sc_mamba2.cells.modalities.kinds import (
    modalities_of_features,
    modality_of_name,
    modality_of_names,
)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("rna", "rna"),
        ("GEX", "rna"),
        ("Antibody Capture", "protein"),
        ("pbmc_cite_5k10k_protein", "protein"),
        ("sample-ADT", "protein"),
        ("my_atac_v2", "atac"),
        ("rna_protein", None),
        ("cells", None),
    ],
)
def test_a_name_tells_its_modality_where_it_says_one(name, kind):
    assert modality_of_name(name) == kind


def test_feature_types_tell_the_columns_apart():
    types = ["Gene Expression", "Peaks", "Gene Expression", "Custom"]
    found = modalities_of_features(pd.DataFrame({"feature_types": types}))
    assert found.keys() == {"rna", "atac"} and list(found["rna"]) == [0, 2]
    assert modalities_of_features(pd.DataFrame({"other": types})) == {}


def test_names_of_features_tell_peaks_and_ensembl_ids():
    assert modality_of_names(pd.Index(["chr1:10-20", "chr2_5_90", "1:7-9"])) == "atac"
    assert modality_of_names(pd.Index(["ENSG00000198851", "ENSG00000198851.9"])) == "rna"
    assert modality_of_names(pd.Index(np.array(["CD3", "CD4"]))) is None
