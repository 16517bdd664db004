"""How much of a model a file's genes are: counted by weight, refused, warned of, or said."""

import logging

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, strategies as st

from sc_mamba2.errors import UserError
from sc_mamba2.genes import load_vocabulary
from sc_mamba2.tasks.shared.coverage import RULE, check_genes, with_coverage

FEW = load_vocabulary().subset(load_vocabulary().ids[10:20])
GENES = [FEW.ids[row] for row in FEW.gene_rows]


def weights(*values):
    weight_V = np.zeros(FEW.size)
    weight_V[FEW.gene_rows] = values
    return weight_V


def test_a_share_is_of_the_weight_and_not_of_the_count():
    found = check_genes(FEW, weights(91, *[1] * 9), pd.Index([GENES[0], "ENSG9"]), 0.5)
    assert (found["genes"], found["measured"]) == (10, 1)
    assert found["weight_share"] == pytest.approx(0.91) and found["gene_share"] == 0.1
    assert "1 of the 10 genes" in found["words"] and "91.0%" in found["words"]


def test_too_little_is_refused_with_what_was_found_and_little_is_warned_of(caplog):
    weight_V = weights(*[1] * 10)
    with pytest.raises(UserError, match=RULE):
        check_genes(FEW, weight_V, pd.Index(GENES[:1]), 0.2)
    with caplog.at_level(logging.WARNING):
        assert "unreliable" in check_genes(FEW, weight_V, pd.Index(GENES[:4]), 0.2, 0.5)["words"]
    assert "4 of the 10" in caplog.text
    caplog.clear()
    check_genes(FEW, weight_V, pd.Index(GENES[:6]), 0.2, 0.5)
    assert not caplog.records


@given(st.lists(st.booleans(), min_size=10, max_size=10), st.randoms())
def test_order_and_unknown_genes_change_nothing_and_more_genes_never_less(there, random):
    weight_V = weights(*range(1, 11))
    genes = [ident for ident, kept in zip(GENES, there, strict=True) if kept]
    mixed = [*genes, "ENSG_other"]
    random.shuffle(mixed)
    share = check_genes(FEW, weight_V, pd.Index(genes), 0.0)["weight_share"]
    assert check_genes(FEW, weight_V, pd.Index(mixed), 0.0)["weight_share"] == pytest.approx(share)
    more = check_genes(FEW, weight_V, pd.Index([*genes, *GENES[:1]]).unique(), 0.0)
    assert more["weight_share"] >= share


def test_it_is_the_first_remark_of_the_report():
    coverage = check_genes(FEW, weights(*[1] * 10), pd.Index(GENES), 0.5)
    report = with_coverage({"remarks": [{"rule": "other", "remark": "x"}]}, coverage)
    assert [remark["rule"] for remark in report["remarks"]] == [RULE, "other"]
    assert report["coverage"]["weight_share"] == 1
