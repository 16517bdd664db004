"""The shipped checkpoint that reads counts is whole, small, predicts molecules and tells types."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse

import sc_mamba2
from sc_mamba2.model import checkpoint_folder, read_checkpoint
from sc_mamba2.ops import real_tokens
from sc_mamba2.tokens import make_batch

NAME = "scm-counts"
PROGRAMS = {
    "B cell": ["CD79A", "CD79B", "MS4A1", "HLA-DRA", "CD74", "CD37", "CD74", "HLA-DRB1"],
    "T cell": ["CD3D", "CD3E", "IL7R", "LDHB", "TRAC", "LTB", "CD3G", "CD27"],
    "monocyte": ["LYZ", "S100A8", "S100A9", "FCN1", "CST3", "TYROBP", "FTL", "CTSS"],
}
COMMON = ["RPL10", "RPS27", "RPL13", "TPT1", "MALAT1", "B2M", "RPS12", "RPL32"]
# Genes that no cell below has, and the program that they belong to.
OTHERS = {"B cell": "BANK1", "T cell": "CD2", "monocyte": "CD14"}
TERMS = {"B cell": "CL:0000236", "T cell": "CL:0000084", "monocyte": "CL:0000576"}


@pytest.fixture(scope="module")
def model():
    return sc_mamba2.from_pretrained(NAME)


@pytest.fixture(scope="module")
def told(model):
    """Return hidden vectors, what is predicted of the molecules, and logits of types, of three cells."""
    vocabulary = model.tokenizer.vocabulary
    place = {symbol: row for row, symbol in enumerate(vocabulary.symbols)}
    counts = np.zeros((3, vocabulary.size), dtype=np.float32)
    for row, genes in enumerate(PROGRAMS.values()):
        counts[row, [place[gene] for gene in COMMON]] = 9
        counts[row, [place[gene] for gene in genes]] = 4
        counts[row, place["MALAT1"]] = 1  # the unit of the counts
    obs = pd.DataFrame(index=list(PROGRAMS))
    values = sparse.csr_matrix(np.log1p(1e4 * counts / counts.sum(axis=1, keepdims=True)))
    tokens = model.tokenizer.tokenize(values, np.array(vocabulary.ids), obs)
    batch = make_batch(tokens, np.arange(3), vocabulary)
    assert set(batch.bins_BL.flatten().tolist()) <= {-2, 0, 1, 4, 9}
    with torch.no_grad():
        hidden = model.backbone(batch.token_ids_BL, batch.bins_BL, batch.lengths_B)
        real = real_tokens(batch.lengths_B, hidden.shape[1])
        found = model.molecule_decoder(hidden, batch.token_ids_BL, real)
        return place, found, model.type_decoder(hidden[:, 0])


def test_it_is_whole_small_and_says_what_it_is():
    folder = checkpoint_folder(NAME)
    assert sum(path.stat().st_size for path in folder.iterdir()) < 10e6
    read_checkpoint(NAME)  # every hash is compared
    card = (folder / "MODEL_CARD.md").read_text()
    assert "## Limits" in card and "## Data" in card and "Nats per held-out molecule" in card


def test_genes_of_a_program_are_likelier_in_its_cell(told):
    place, found, _ = told
    log_rates = found.logits_BV.log_softmax(1)
    for at, gene in enumerate(OTHERS.values()):
        assert int(log_rates[:, place[gene]].argmax()) == at, (gene, log_rates[:, place[gene]])


def test_the_types_are_told(model, told):
    terms = list(model.heads.types)
    logits = told[2][:, [terms.index(term) for term in TERMS.values()]]
    assert logits.argmax(0).tolist() == [0, 1, 2]
