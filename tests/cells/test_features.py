"""What a feature is: by words of any usual writing, by names where no column says it, or refused."""

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import sparse

from sc_mamba2.cells import standardise
from sc_mamba2.cells.features import (
    GENE,
    GUIDE,
    OTHER,
    PEAK,
    PROTEIN,
    TAG,
    feature_kinds,
    kind_of_word,
    parse_places,
    with_kinds_of,
)
from sc_mamba2.errors import UserError
from sc_mamba2.genes import load_gene_table

TABLE = load_gene_table()
GENES = list(map(str, TABLE.symbols[np.asarray(TABLE.biotypes) == "protein_coding"][:300]))
PANEL = ["CD3", "CD4", "CD8a", "CD14", "CD16", "CD19", "CD56", "CD45RA", "HLA-DR", "PD-1"]
SYMBOLS = ["CD3E", "CD4", "CD8A", "CD14", "FCGR3A", "CD19", "NCAM1", "PTPRC", "CD40", "CD27"]


def table(names: list[str], **columns: list) -> pd.DataFrame:
    return pd.DataFrame(columns, index=names)


def cells_of(var: pd.DataFrame) -> AnnData:
    """Counts of 5 cells; those of the last ten features are a hundred times larger."""
    counts = np.random.default_rng(0).poisson(2, (5, len(var))).astype(np.float32) + 1
    counts[:, -10:] *= 100
    names = pd.DataFrame(index=list("abcde"))
    return AnnData(sparse.csr_matrix(counts), obs=names, var=var)


def refused(var: pd.DataFrame) -> UserError:
    with pytest.raises(UserError) as caught:
        standardise(cells_of(var), TABLE)
    return caught.value


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (GENE, "Gene Expression|gene expression|GEX|gex|rna|RNA|mRNA|gene|genes|Gene_Expression"),
        (GENE, "gene-expression|GeneExpression|transcriptome|b'Gene Expression'| rna "),
        (PROTEIN, "Antibody Capture|antibody capture|ADT|adt|protein|Protein|prot|AB|antibody"),
        (PROTEIN, "surface protein|Surface_Protein|Antibody-Capture|protein expression|AbSeq"),
        (
            PEAK,
            "Peaks|peak|ATAC|atac|chromatin accessibility|open chromatin|Chromatin_Accessibility",
        ),
        (GUIDE, "CRISPR Guide Capture|guide|sgRNA|gRNA|crispr|guide_rna"),
        (TAG, "HTO|hashtag|Multiplexing Capture|cell hashing|Hashtag Oligo|CMO|hto"),
    ],
)
def test_words_for_kinds_in_every_usual_writing(kind, words):
    assert {word: kind_of_word(word) for word in words.split("|")} == dict.fromkeys(
        words.split("|"), kind
    )


@pytest.mark.parametrize("word", ["protein_coding", "", "nonsense", "generated"])
def test_words_that_are_no_kind(word):
    assert kind_of_word(word) is None


@pytest.mark.parametrize(
    "column", ["feature_types", "feature_type", "featureType", "Feature Types", "modality"]
)
@pytest.mark.parametrize(
    ("gene", "protein"),
    [
        ("Gene Expression", "Antibody Capture"),
        ("rna", "protein"),
        ("GEX", "ADT"),
        ("gene expression", "antibody capture"),
        ("Gene_Expression", "Surface_Protein"),
    ],
)
def test_antibodies_that_a_column_names_are_not_counted(column, gene, protein):
    var = table(GENES + SYMBOLS, **{column: [gene] * 300 + [protein] * 10})
    cells = cells_of(var)
    found, report = standardise(cells, TABLE)
    alone, _ = standardise(cells[:, :300].copy(), TABLE)
    assert report["set_aside"] == {PROTEIN: 10}
    assert np.array_equal(found.X.toarray(), alone.X.toarray())


def test_a_column_of_biotypes_says_no_kind():
    var = table(GENES, feature_type=["protein_coding"] * 290 + ["lncRNA"] * 10)
    assert (feature_kinds(var) == GENE).all()


def test_what_a_column_leaves_open_is_told_by_the_name():
    names = [*GENES, "CD3_TotalSeqB", "chr1:100-600", "GFP"]
    var = table(names, feature_types=["Gene Expression"] * 300 + [np.nan] * 3)
    assert feature_kinds(var).tolist()[300:] == [PROTEIN, PEAK, GENE]


@pytest.mark.parametrize(
    "tagged",
    [
        *(
            "{}_TotalSeqB",
            "{}_TotalSeqC",
            "ADT_{}",
            "adt-{}",
            "anti-{}",
            "anti_human_{}",
            "{} (prot)",
        ),
        *(
            "{}_prot",
            "{}-ADT",
            "{}_ADT",
            "protein:{}",
            "Hu.{}",
            "A0034-{}",
            "{}:SK1|X|AHS0231|pAbO",
        ),
        *("prot_{}", "AB_{}", "{}.protein"),
    ],
)
def test_antibodies_are_told_by_what_makers_add_to_the_name(tagged):
    var = table(GENES + [tagged.format(name) for name in PANEL])
    assert feature_kinds(var).tolist() == [GENE] * 300 + [PROTEIN] * 10


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        (TAG, ["HTO_1", "HTO-A", "HTO3", "CMO301", "Hashtag1", "C0251_hashtag_2"]),
        (GUIDE, ["sgTP53_1", "non-targeting_4", "Non-Targeting-2", "sgRNA_7"]),
        (PEAK, ["chr1:10-20", "chr1-10-20", "1_10_20", "GL000194.1:5-9", "KI270727.1-5-9"]),
        (OTHER, ["ERCC-00002", "__no_feature", "N_unmapped", "nCount_RNA", "percent.mt"]),
        (PEAK, ["chrUn_KI270742v1:5-9", "GRCh38_chr1:10-20", "chrM:1-9", "MT-1-9", "X:1-9"]),
    ],
)
def test_other_kinds_are_told_by_their_names(kind, names):
    assert feature_kinds(table(GENES + names)).tolist()[300:] == [kind] * len(names)


def test_no_symbol_of_a_gene_is_taken_for_another_kind():
    kinds = feature_kinds(table(list(map(str, TABLE.symbols))))
    assert (kinds == GENE).all()


@pytest.mark.parametrize(
    "names",
    [
        pytest.param(PANEL, id="names of antigens"),
        pytest.param([f"{name}-1" for name in SYMBOLS], id="made unique"),
        pytest.param([f"{name}.1" for name in SYMBOLS], id="made unique by R"),
        pytest.param(SYMBOLS, id="twice"),
    ],
)
def test_antibodies_that_nothing_tells_apart_are_refused_until_it_is_said(names):
    genes = GENES[:200] + SYMBOLS
    var = table(genes + names)
    error = refused(var)
    assert error.rule == "features-indistinct" and 'var["feature_types"]' in error.mend
    var["feature_types"] = ["Gene Expression"] * len(genes) + ["Antibody Capture"] * len(names)
    found, report = standardise(cells_of(var), TABLE)
    assert found.n_vars == len(genes) and report["set_aside"] == {PROTEIN: 10}


@pytest.mark.parametrize("names", [PANEL, SYMBOLS], ids=["proteins", "symbols"])
def test_antibodies_among_ensembl_ids_are_refused(names):
    ids = [str(TABLE.ids[TABLE.row_of_symbol[gene]]) for gene in GENES[:200]]
    assert refused(table(ids + names)).rule == "features-indistinct"


@pytest.mark.parametrize(
    "twice", [["TBCE", "MATR3", "GGT1", "CD99"], GENES[:150], ["LINC01238-1", "HSPA14-1", "CD99-1"]]
)
def test_ordinary_doublets_of_symbols_stop_no_file(twice):
    assert (feature_kinds(table([*GENES, "CD99", *twice])) == GENE).all()


@pytest.mark.parametrize("names", [PANEL, SYMBOLS], ids=["proteins", "symbols"])
@pytest.mark.parametrize("said", [None, "Antibody Capture", "ADT"])
def test_antibodies_alone_are_called_so(names, said):
    var = table(names) if said is None else table(names, feature_types=[said] * 10)
    error = refused(var)
    assert error.rule == ("features-indistinct" if said is None else "features-no-gene")
    assert "scm multiome" in error.mend and (
        "10 antibodies" in error.found or "antigens" in error.found
    )
    found, _ = standardise(cells_of(table(SYMBOLS, feature_types=["Gene Expression"] * 10)), TABLE)
    assert found.n_vars == 10  # what the mend says of a panel of genes


def test_genes_of_the_mouse_are_no_antibodies():
    assert (
        refused(table(["Cd4", "Cd8a", "Cd19", "Cd14", "Ptprc", "Cd3e"])).rule == "genes-unmatched"
    )


def test_places_are_written_alike():
    names = ["GRCh38_chr1:5-9", "hg38_2-5-9", "X_5_9", "MT:5-9", "GL000194.1:5-9", "CD3"]
    found = parse_places(pd.Index(names))["chrom"].tolist()
    assert found[:5] == ["chr1", "chr2", "chrX", "chrM", "GL000194.1"] and pd.isna(found[5])


def test_raw_without_a_column_of_kinds_takes_that_of_var():
    own = pd.DataFrame(index=["CD3E", "CD4", "CD4-1", "GAPDH"])
    var = pd.DataFrame(
        {"feature_types": ["Gene Expression", "Antibody Capture"]}, index=["CD3E", "CD4-1"]
    )
    assert list(feature_kinds(with_kinds_of(own, var))) == ["gene", "gene", "antibody", "gene"]
    assert with_kinds_of(own, pd.DataFrame(index=own.index)) is own
