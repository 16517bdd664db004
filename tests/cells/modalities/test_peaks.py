import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import sparse

from sc_mamba2.cells.modalities.peaks import nearest_gene, parse_coordinates, standardise_peaks
from sc_mamba2.cells.simulate_pairs import simulate_rna_atac
from sc_mamba2.errors import UserError

NO_GENES = pd.DataFrame(index=["a"])


def standard(cells, features="peaks", build="hg38", genes=NO_GENES, bin_size=1000, distance=100):
    return standardise_peaks(cells, build, features, bin_size, distance, genes)


def cells_with(names: list[str], values=None) -> AnnData:
    some = np.ones((3, len(names)))
    some[1:, 100:] = 0
    matrix = some if values is None else values
    return AnnData(X=sparse.csr_matrix(matrix), var=pd.DataFrame(index=names))


def refused(rule: str, *args, **kwargs) -> str:
    with pytest.raises(UserError) as caught:
        standard(*args, **kwargs)
    assert caught.value.rule == rule
    return str(caught.value)


def test_coordinates_in_any_of_the_usual_writings():
    found = parse_coordinates(pd.Index(["chr1:5-10", "2_7_9", "X-1-4"]))
    assert found["chrom"].tolist() == ["chr1", "chr2", "chrX"]
    assert found["start"].tolist() == [5, 7, 1] and found["end"].tolist() == [10, 9, 4]


def test_counts_become_open_or_not_with_a_remark():
    cells = simulate_rna_atac(20, 30, 40, 15, 15)["atac"]
    found, report = standard(cells)
    assert set(found.X.data) == {1.0} and (found.X.nnz == cells.X.nnz)
    assert [remark["rule"] for remark in report["remarks"]] == ["peaks-counts"]
    binary, report = standard(cells_with(["chr1:5-10"]))
    assert report["remarks"] == [] and binary.var_names[0] == "peak:chr1:5-10"


@pytest.mark.parametrize("values", [np.full((3, 200), 0.01), 1 - np.eye(3, 200)])
def test_a_matrix_that_is_open_nearly_everywhere_is_refused(values):
    names = [f"chr1:{place}-{place + 5}" for place in range(0, 2000, 10)]
    assert "smoothed" in refused("peaks-values", cells_with(names, values))
    _, report = standard(cells_with(names, np.eye(3, 200) / 2))
    assert [remark["rule"] for remark in report["remarks"]] == ["peaks-counts"]


def test_chromosomes_of_a_mouse_are_said():
    names = [f"chr{number}:5-10" for number in range(1, 20)]
    _, report = standard(cells_with(names))
    assert [remark["rule"] for remark in report["remarks"]] == ["peaks-mouse"]
    assert standard(cells_with([*names, "chr22:5-10"]))[1]["remarks"] == []


def test_peaks_outside_of_the_build_are_refused_and_the_other_build_is_named():
    inside_hg19 = cells_with(["chr1:249000000-249200000"])
    assert "multiomics.features.genome=hg19" in refused("peaks-build", inside_hg19)
    assert standard(inside_hg19, build="hg19")[0].n_vars == 1
    refused("peaks-build", cells_with(["chr1:9-3"]))
    refused("peaks-names", cells_with(["chr1:5-10", "peak_7"]))
    refused("peaks-values", cells_with(["chr1:5-10"], np.full((3, 1), -1.0)))


def test_a_bin_is_open_where_any_of_its_peaks_is():
    names = ["chr1:100-300", "chr1:700-900", "chr1:1500-1700", "chr2:100-300"]
    values = np.array([[1, 0, 0, 0], [0, 1, 1, 0], [0, 0, 0, 1]])
    found, _ = standard(cells_with(names, values), "bins")
    assert list(found.var_names) == ["peak:chr1:0-1000", "peak:chr1:1000-2000", "peak:chr2:0-1000"]
    assert found.X.toarray().tolist() == [[1, 0, 0], [1, 1, 0], [0, 0, 1]]


def test_peaks_go_to_the_nearest_gene_and_far_ones_are_dropped():
    genes = pd.DataFrame({"interval": ["chr1:1000-2000", "chr1:2100-2500"]}, index=["A", "B"])
    names = ["chr1:1500-1600", "chr1:2040-2060", "chr1:9000-9100", "chr3:1-9"]
    values = np.array([[1, 0, 1, 1], [0, 1, 0, 0], [0, 0, 0, 1]])
    found, report = standard(cells_with(names, values), "genes", genes=genes)
    assert list(found.var_names) == ["peak:A"] and report["kept"] == 1
    assert found.X.toarray().tolist() == [[1], [1], [0]]
    refused("peaks-genes", cells_with(names), "genes")
    refused("peaks-genes", cells_with(["chr9:1-9"]), "genes", genes=genes)


def test_the_nearest_gene_is_that_of_a_plain_search():
    generator = np.random.default_rng(0)
    starts = generator.integers(0, 5000, 30)
    genes = pd.DataFrame({"chrom": "chr1", "start": starts, "end": starts + 200})
    middle = pd.Series(generator.integers(0, 6000, 200))
    found = nearest_gene(pd.Series(["chr1"] * 200), middle, genes, 300)
    for at, place in zip(middle, found, strict=True):
        away = [
            max(0, start - at, at - end) for start, end in zip(starts, starts + 200, strict=True)
        ]
        assert (place == -1) == (min(away) > 300)
        assert place == -1 or away[place] == min(away)


CONTIGS = ["GL000194.1:55758-56597", "KI270727.1-24160-25010", "chrUn_KI270742v1:5-9", "chrM:1-9"]
CONTIGS += ["MT-1-9", "chr1_KI270706v1_random:5-9", "mm10_chr1:5-9", "NC_012920.1:5-9"]


@pytest.mark.parametrize("contig", CONTIGS)
@pytest.mark.parametrize("features", ["peaks", "bins"])
def test_contigs_are_set_aside_and_counted(contig, features):
    found, report = standard(cells_with(["chr1:5-10", contig, "chr2:5-10"]), features)
    assert found.n_vars == 2 and report["total"] == 3
    assert [remark["rule"] for remark in report["remarks"]] == ["peaks-contigs"]
    assert report["remarks"][0]["remark"].startswith("1 peaks on contigs")


@pytest.mark.parametrize("prefix", ["GRCh38_", "hg19_", "GRCh38__", ""])
@pytest.mark.parametrize("written", ["chr1:5-10", "chr1-5-10", "chr1_5_10", "1:5-10"])
def test_prefixes_and_writings_give_the_same_peak(prefix, written):
    assert list(standard(cells_with([prefix + written]))[0].var_names) == ["peak:chr1:5-10"]


def test_a_few_peaks_that_end_behind_their_chromosome_are_set_aside():
    inside = [f"chr1:{start}-{start + 5}" for start in range(10, 20_010, 10)]
    found, report = standard(cells_with([*inside, "chr17:83257400-83257492"]))
    assert found.n_vars == 2000
    assert [remark["rule"] for remark in report["remarks"]] == ["peaks-outside"]


@pytest.mark.parametrize("spoilt", [0, 1])
def test_the_message_names_the_build_that_nearly_all_fit(spoilt):
    inside = [f"chr1:{start}-{start + 5}" for start in range(249_000_000, 249_020_000, 10)]
    cells = cells_with(inside + ["chr17:81195200-81195261"] * spoilt)
    assert "multiomics.features.genome=hg19" in refused("peaks-build", cells)
    assert standard(cells, build="hg19")[0].n_vars == 2000


def test_peaks_of_contigs_alone_are_refused():
    refused("peaks-contigs", cells_with(CONTIGS))
