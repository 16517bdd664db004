"""What a pretraining is made of: count splitting wants counts, and knows the genes it was trained on."""

import numpy as np
import pytest
import torch
from tests.training.corpora import small_job, write_store

from sc_mamba2.errors import UserError
from sc_mamba2.tokens import TokenStore
from sc_mamba2.training.ranks import Ranks
from sc_mamba2.training.recipes import LeftOutMolecules

ALONE = Ranks(0, 1, torch.device("cpu"))


def test_a_corpus_whose_tokens_are_no_counts_is_refused(tmp_path):
    store = TokenStore.open(write_store(tmp_path / "store", "bins"))
    with pytest.raises(UserError, match=r"corpus-bins.*set pretraining\.corpus\.bins to counts"):
        LeftOutMolecules(small_job(store.folder, tmp_path / "run"), store, ALONE)


def test_genes_and_types_are_those_of_the_training_cells(tmp_path):
    store = TokenStore.open(write_store(tmp_path / "store", "molecules"))
    job = small_job(store.folder, tmp_path / "run")
    shape = job.shape.model_copy(update={"gene_cells": 20})
    recipe = LeftOutMolecules(job.model_copy(update={"shape": shape}), store, ALONE)
    assert recipe.names == ["a", "b", "c", "d"] and recipe.trained == 3
    rows = [store.gather(np.array([cell])).gene_rows for cell in recipe.training]
    genes, cells = np.unique(np.concatenate(rows), return_counts=True)
    wanted = [store.tokenizer.vocabulary.ids[gene] for gene in genes[cells >= 20]]
    vocabulary = recipe.source.tokenizer.vocabulary
    assert [vocabulary.ids[row] for row in vocabulary.gene_rows] == wanted
    assert 0 < len(wanted) < len(genes)
    for number, study in enumerate(recipe.names):
        own = np.flatnonzero(store.obs()["study"] == study)
        expressed = np.unique(store.gather(own).gene_rows)
        measured = {vocabulary.ids[row] for row in np.flatnonzero(recipe.measured_SV[number])}
        assert measured == {store.tokenizer.vocabulary.ids[row] for row in expressed} & set(wanted)
    heads = recipe.heads()
    assert heads.studies == 3 and heads.types == ("CL:1", "CL:2")
