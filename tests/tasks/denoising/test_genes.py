"""Which genes are written, and what is refused before anything long."""

import numpy as np
import pytest

from sc_mamba2.errors import UserError
from sc_mamba2.tasks.denoising.genes import prepare
from sc_mamba2.tasks.denoising.params import OutputParams, PriorParams
from sc_mamba2.tasks.shared.params import IngestionParams


def refused(rule: str, raw, valid, **output) -> str:
    with pytest.raises(UserError) as error:
        prepare(raw, valid, OutputParams(**output), PriorParams(), IngestionParams())
    assert error.value.rule == rule
    return str(error.value)


def test_all_genes_stand_in_the_columns_of_the_file(read, prepared):
    raw, valid, _ = read
    counts, _, written = prepared
    assert (counts != valid.layers["counts"]).nnz == 0
    assert written.names is None and written.width == raw.n_vars
    assert list(raw.var_names[written.places_K]) == list(valid.var_names[written.genes_K])


def test_genes_of_a_file_that_are_none_have_no_column(read):
    raw, valid, _ = read
    other = raw[:, ::-1].copy()
    other.var_names = ["no gene", *other.var_names[1:]]
    del other.var["symbol"]
    *_, written = prepare(other, valid, OutputParams(), PriorParams(), IngestionParams())
    assert written.width == raw.n_vars and len(written.places_K) == raw.n_vars - 1
    assert list(other.var_names[written.places_K]) == list(valid.var_names[written.genes_K])


def test_named_genes_are_found_by_symbol_and_id_once_each(read):
    raw, valid, _ = read
    names = [valid.var["symbol"].iloc[7], valid.var_names[2], valid.var["symbol"].iloc[7]]
    *_, written = prepare(
        raw, valid, OutputParams(named_genes=",".join(names)), PriorParams(), IngestionParams()
    )
    assert list(written.genes_K) == [7, 2] and written.names == tuple(names[:2])
    assert list(written.places_K) == [0, 1] and written.width == 2


def test_what_cannot_be_denoised_is_refused(read):
    raw, valid, _ = read
    decimals = valid.copy()
    decimals.layers["counts"] = valid.layers["counts"] * np.float32(0.7)
    assert "decimals" in refused("denoise-counts", raw, decimals)
    del decimals.layers["counts"]
    assert "--layer" in refused("denoise-counts", raw, decimals)
    refused("denoise-cells", raw[:9], valid[:9].copy())
    refused("gene-unknown", raw, valid, named_genes="NOSUCHGENE")
    refused("genes-file", raw, valid, named_genes="nowhere.txt")
    text = refused("denoise-size", raw, valid, most_values=raw.n_obs * raw.n_vars - 1)
    assert "90 cells" in text and "--genes" in text


def test_what_cannot_be_imputed_is_refused_before_anything_long(read):
    there = read[1].var_names[0]
    assert there in refused("impute-genes", *read[:2], imputed_genes=there)
