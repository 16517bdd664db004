"""Kinds of features: gene, protein, peak, guide or tag. Used by all readers and commands.

A column of the features' table states the kind; without one, names are used as far as possible.
"""

import re
from functools import cache
from importlib import resources

import numpy as np
import pandas as pd

from sc_mamba2.errors import UserError

GENE, PROTEIN, PEAK, GUIDE, TAG, OTHER = "gene", "antibody", "peak", "guide", "tag", "other"
# The first match wins: "guide RNA" is not RNA, "surface protein expression" not gene expression.
_WORDS = {
    OTHER: r"custom|antigen ?capture|v\(?d\)?j( ?[tb])?|[tb]cr|spike ?ins?|ercc",
    GUIDE: r"crispr\w*|guides?( ?rnas?| ?capture)?|sgrnas?|grnas?",
    TAG: r"hash\w*|cell ?hashing|htos?|cmos?|lmos?|multiplex\w*( ?capture)?|cellplex|sample ?tags?|tags?",
    PEAK: r"peaks?|\w*atac( ?seq)?|open ?chromatin|chromatin( ?accessibility)?|accessibility",
    PROTEIN: r"antibod\w*|adts?|abs?|abc|\w*protein\w*|prots?|totalseq\w*|abseq|surface ?markers?",
    GENE: r"genes?( ?expression)?|gex|\w*rna( ?seq)?|transcript(s|ome|omics)?|expression",
}
_KINDS = {kind: re.compile(rf"\b({words})\b") for kind, words in _WORDS.items()}
_SURELY = ("featuretypes", "featuretype")  # columns that always state the kind
_PERHAPS = ("modality", "modalities", "librarytype", "assay", "type")
_BIOTYPE = "protein coding"  # CELLxGENE puts biotypes in "feature_type"

PLACE = ("chrom", "start", "end")
_CHROM = r"chr[\w.]+|\d{1,2}|[XYM]|MT|(?:GL|KI|KN|KQ|KV|KZ|ML|JH|MU|JAF|Un)_?\w*(?:\.\d+)?"
_GENOME = r"(?:(?:GRCh3[78]|hg19|hg38|mm\d+|GRCm\d+)_+)?"
COORDINATES = re.compile(rf"^({_GENOME}(?:{_CHROM}))[:_-](\d+)[-_](\d+)$")
_ANY_PLACE = re.compile(r"^(\S+):(\d+)-(\d+)$")
_NAMES = {
    PEAK: COORDINATES,
    OTHER: re.compile(  # spike-ins, read statistics, or columns of obs
        r"^ERCC[-_.]\d{5}$|^__(no_feature|ambiguous|too_low_aQual|not_aligned|alignment_not_unique)$"
        r"|^N_(unmapped|multimapping|noFeature|ambiguous)$|^n(Count|Feature)_\w+$|^percent[._]mt$"
    ),
    TAG: re.compile(r"^HTO([_-]\w+|\d{0,3})$|^CMO\d{3}$|hashtag", re.I),
    GUIDE: re.compile(r"^sg[A-Z0-9]\w*[_.-]\w+$|^(?i:non[-_ ]?target)|^(sg|g)RNA[_-]"),
    PROTEIN: re.compile(
        r"^(adt|ab|prot|protein|antibody|cite|anti|totalseq\w?)[ ._:|-]+\w|\(prot(ein)?\)|isotype"
        r"|[ ._:|-]\(?(adt|prot|protein|antibody|totalseq\w*|pabo)\)?([ ._-]?\w)?$|_ab$"
        r"|^hu(ms)?(rt)?\.\w|^[abcd]\d{4}[-_ ]|\|AHS\d+|^((mouse|rat|hamster)[ _-]*)?ig[gm]\d?[abc]?(_|-| |$)",
        re.I,
    ),
}
_ANTIGEN = re.compile(r"CD\d+[A-Z]{0,2}\d?")
_LIMIT = 3  # antigen names that make a table doubtful; a file of genes has one or two duplicates
_LARGEST_PANEL = 1000


def kind_of_word(text: object) -> str | None:
    """Return the kind of feature that a word denotes, such as ``Antibody Capture``, ``gex`` or ``ADT``."""
    words = _plain(text)
    if _BIOTYPE in words:
        return None
    return next((kind for kind, known in _KINDS.items() if known.search(words)), None)


def with_kinds_of(features: pd.DataFrame, other: pd.DataFrame) -> pd.DataFrame:
    """Return a feature table with the kinds that another table states for the same names.

    Needed where ``raw`` lost the columns of `var`.
    """
    if stated_kinds(features).notna().any() or not other.index.is_unique:
        return features
    stated = stated_kinds(other)
    if stated.isna().all():
        return features
    return features.assign(feature_types=stated.reindex(features.index).to_numpy(dtype=object))


def stated_kinds(features: pd.DataFrame) -> pd.Series:
    """Return the kind of each feature as stated by a column, ``None`` without one."""
    columns = {re.sub(r"[^a-z]", "", str(name).lower()): name for name in features}
    for column in (*_SURELY, *_PERHAPS):
        if column not in columns:
            continue
        words = features[columns[column]].astype(object)
        known = {word: kind_of_word(word) for word in words.dropna().unique() if _plain(word)}
        stated = [kind is not None for kind in known.values()]
        biotypes = any(_BIOTYPE in _plain(word) for word in known)
        if any(stated) and not biotypes and (all(stated) or column in _SURELY):
            found = words.map({word: kind or OTHER for word, kind in known.items()})
            return found.where(found.notna(), None).astype(object)
    return pd.Series([None] * len(features), index=features.index, dtype=object)


def known_kinds(features: pd.DataFrame) -> pd.Series:
    """Return the kind of each feature: as stated, else from its name, else ``None``."""
    kinds = stated_kinds(features)
    unstated = kinds.isna().to_numpy()
    if unstated.any():
        names = features.index.astype(str)[unstated].str.strip()
        kinds[unstated] = [_kind_of_name(name) for name in names]
    return kinds


def feature_kinds(features: pd.DataFrame) -> pd.Series:
    """Return the kind of each feature, a gene if neither a column nor the name tells.

    Raises
    ------
    UserError
        Rule ``features-indistinct``: antibodies seem to be mixed with genes, indistinguishably.
    """
    kinds = known_kinds(features)
    unstated = kinds.isna().to_numpy()
    if unstated.any() and (doubt := _doubt(features.index.astype(str), unstated, kinds)):
        raise UserError(
            "features-indistinct",
            found=doubt,
            expected="distinguishable genes and antibodies: an antibody read as a gene corrupts its expression",
            mend='set var["feature_types"]: "Gene Expression" for genes, "Antibody Capture" for '
            "antibodies; for RNA and proteins of the same cells use scm multiome",
        )
    return kinds.where(~unstated, GENE)


def is_antibody_panel(features: pd.DataFrame) -> bool:
    """Whether no feature is known to be a gene, and most are named as surface antigens."""
    kinds = known_kinds(features)
    return _is_panel(_antigens(features.index.astype(str)), kinds.isna().to_numpy(), kinds)


def no_gene_feature(kinds: pd.Series) -> UserError:
    """Return the error for a table without genes, naming what it holds and the command for it."""
    counts = kinds.value_counts()
    names = {PROTEIN: "antibodies", OTHER: "other features"}
    held = ", ".join(f"{count:,} {names.get(kind, f'{kind}s')}" for kind, count in counts.items())
    sources = {PROTEIN: "rna=FILE protein=FILE", PEAK: "rna=FILE atac=FILE"}
    verb = next((f": scm multiome {sources[kind]}" for kind in counts.index if kind in sources), "")
    return UserError(
        "features-no-gene",
        found=f"{held}, and no genes",
        expected="gene expression",
        mend=f"give the RNA of these cells, alone or together with them{verb}; if these are genes, set "
        'var["feature_types"] = "Gene Expression"',
    )


def features_set_aside(features: pd.DataFrame) -> dict[str, int]:
    """Count the features that are not genes, by kind."""
    counts = feature_kinds(features).value_counts()
    return {str(kind): int(count) for kind, count in counts.items() if kind != GENE}


def parse_places(names: pd.Index) -> pd.DataFrame:
    """Parse chromosome, start and end from names such as ``chr1:100-600``, ``1_100_600``; else NaN.

    A human genome's prefix is dropped; chromosomes are written ``chr1`` to ``chrM``.
    """
    text = pd.Series(names.astype(str)).str.strip()
    places = text.str.extract(COORDINATES).set_axis(list(PLACE), axis=1)
    places = places.where(places["chrom"].notna(), text.str.extract(_ANY_PLACE).to_numpy())
    chrom = places["chrom"].str.replace(r"^(GRCh3[78]|hg19|hg38)_+", "", regex=True)
    bare = chrom.str.fullmatch(r"\d{1,2}|[XYM]|MT").eq(True)
    return places.assign(chrom=chrom.where(~bare, "chr" + chrom.str.replace("MT", "M")))


def is_place(names: pd.Index) -> np.ndarray:
    """Return which names are coordinates."""
    return parse_places(names)["chrom"].notna().to_numpy()


@cache
def protein_aliases() -> dict[str, str]:
    """Return the symbol of the coding gene by the protein's name in capitals."""
    place = resources.files("sc_mamba2.genes").joinpath("data", "protein-genes.csv")
    lines = place.read_text(encoding="utf-8").split()[1:]
    return dict(line.split(",") for line in lines)


def _kind_of_name(name: str) -> str | None:
    return next((kind for kind, pattern in _NAMES.items() if pattern.search(name)), None)


def _plain(text: object) -> str:
    written = re.sub(r"^b'(.*)'$", r"\1", str(text).strip())
    return re.sub(r"[\s_./-]+", " ", written).strip().lower()


def _antigens(names: pd.Index) -> pd.Series:
    """Return which names are surface antigens, or the human genes that code for them."""
    text = pd.Series(names).str.upper()
    named = text.isin({*protein_aliases(), *protein_aliases().values()})
    mouse = pd.Series(names).str.match(r"[A-Z][a-z]")  # Cd4 is a mouse gene
    return (named | text.str.fullmatch(_ANTIGEN)) & ~mouse


def _is_panel(antigen: pd.Series, unstated: np.ndarray, kinds: pd.Series) -> bool:
    some = 5 <= unstated.sum() < _LARGEST_PANEL and not (kinds == GENE).any()
    return bool(some and antigen[unstated].mean() >= 0.8)


def _doubt(names: pd.Index, unstated: np.ndarray, kinds: pd.Series) -> str:
    """Return why features of unstated kind seem to be antibodies, or ""."""
    text = pd.Series(names).str.upper()
    antigen = _antigens(names)
    if _is_panel(antigen, unstated, kinds):
        share = antigen[unstated].mean()
        return f"{int(unstated.sum()):,} features, {share:.0%} of them named as surface antigens"
    base = text.str.replace(r"[-._]\d+$", "", regex=True)
    again = text.duplicated() | ((base != text) & base.isin(set(text)))
    antigen_again = base.isin(set(text[antigen])) & again & unstated
    ids = text.str.match(r"ENSG\d{11}")
    # CD3, CD16 and CD45RA are not gene symbols; lists of Ensembl ids hold no symbols.
    foreign = antigen & text.isin(set(protein_aliases()) - set(protein_aliases().values()))
    if ids.mean() > 0.5:
        foreign = antigen & ~ids
    foreign &= unstated
    if foreign.sum() >= _LIMIT:
        return f"{int(foreign.sum()):,} names of antibodies among genes ({_some(names, foreign)})"
    if antigen_again.sum() >= max(_LIMIT, 0.1 * again.sum()):
        return (
            f"{int(antigen_again.sum()):,} duplicate names of surface antigens "
            f"({_some(names, antigen_again)}), apparently as gene and antibody"
        )
    return ""


def _some(names: pd.Index, chosen: pd.Series) -> str:
    return ", ".join(names[chosen.to_numpy()][:3]) + ", …"
