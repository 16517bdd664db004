"""The checkpoint that comes with the package is whole, small and loads by name."""

import numpy as np
import pandas as pd
import torch
from scipy import sparse

import sc_mamba2
from sc_mamba2.model import checkpoint_folder, read_checkpoint
from sc_mamba2.tokens import make_batch

NAME = "scm-tiny"


def test_it_is_whole_small_and_says_what_it_is():
    folder = checkpoint_folder(NAME)
    assert sum(path.stat().st_size for path in folder.iterdir()) < 9e6
    read_checkpoint(NAME)  # every hash is compared
    card = (folder / "MODEL_CARD.md").read_text()
    assert "## Limits" in card and "## Data" in card and "gene's mean" in card


def test_it_tells_cells_apart_and_knows_which_genes_go_together():
    model = sc_mamba2.from_pretrained(NAME)
    vocabulary = model.tokenizer.vocabulary
    place = {symbol: row for row, symbol in enumerate(vocabulary.symbols)}
    programs = {
        "B": ["CD79A", "CD79B", "MS4A1", "HLA-DRA", "CD74", "CD37"],
        "T": ["CD3D", "CD3E", "IL7R", "LDHB", "TRAC", "LTB"],
        "monocyte": ["LYZ", "S100A8", "S100A9", "FCN1", "CST3", "TYROBP"],
    }
    common = ["RPL10", "RPS27", "RPL13", "TPT1", "MALAT1", "B2M", "RPS12", "RPL32"]
    rows = []
    for genes in programs.values():
        row = np.zeros(vocabulary.size, dtype=np.float32)
        row[[place[gene] for gene in common]] = 4.0
        row[[place[gene] for gene in genes]] = 3.0
        rows.append(row)
    matrix = sparse.csr_matrix(np.stack(rows))
    tokens = model.tokenizer.tokenize(
        matrix, np.array(vocabulary.ids), pd.DataFrame(index=list(programs))
    )
    batch = make_batch(tokens, np.arange(3), vocabulary)
    with torch.no_grad():
        cells = model.backbone.encode(batch.token_ids_BL, batch.bins_BL, batch.lengths_B)
        logits = model.gene_decoder(cells, model.backbone.gene_embedding.weight)
    # Each program's genes are likelier in its own cell than in the others.
    other = {"B": "BANK1", "T": "CD2", "monocyte": "CD14"}
    for at, gene in enumerate(other.values()):
        told = logits[:, place[gene]] - logits.mean(1)
        assert int(told.argmax()) == at, (gene, told.tolist())
