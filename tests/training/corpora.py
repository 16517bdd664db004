"""A small token store for the tests of pretraining: simulated cells of four studies."""

import numpy as np
import pandas as pd
from scipy import sparse

from sc_mamba2.genes import load_vocabulary
from sc_mamba2.tokens import Tokenizer, TokenizerRules, TokenStore, TokenStoreWriter
from sc_mamba2.training.job import KeepOptions, PretrainJob, PretrainOptions, Shape
from sc_mamba2.training.thinned_cells import TYPES

STUDIES = ("a", "b", "c", "d")


def write_store(folder, objective="bins", cells=96, genes=60, max_length=64):
    """Write four studies of cells whose genes have means by type, in tokens for an objective."""
    whole = load_vocabulary("gencode-v44")
    ids = np.array([whole.ids[row] for row in whole.gene_rows[1000 : 1000 + genes]])
    # Of more genes than are seen; to read them all takes as long as a small pretraining.
    vocabulary = whole.subset(whole.ids[row] for row in whole.gene_rows[900:1900])
    chance = np.random.default_rng(0)
    types = chance.integers(0, 4, cells)
    means = chance.gamma(0.3, 2.0, (4, genes))
    matrix = sparse.csr_matrix(np.log1p(chance.poisson(means[types])).astype(np.float32))
    study = np.array(STUDIES)[np.arange(cells) % 4]
    obs = pd.DataFrame({"study": study, "type": types}, index=[f"cell{i}" for i in range(cells)])
    # Type 3 has no term; those of 0 and 1 lie below that of 2.
    obs[TYPES] = np.array(["CL:1 CL:3", "CL:2 CL:3", "CL:3", ""])[types]
    bins = "counts" if objective == "molecules" else "quantiles"
    rules = TokenizerRules(bins=bins, n_bins=51, max_length=max_length)
    tokenizer = Tokenizer(vocabulary, rules)
    with TokenStoreWriter(folder, tokenizer) as writer:
        writer.add(tokenizer.tokenize(matrix, ids, obs))
    return folder


def objective_of(store):
    counts = TokenStore.open(store).tokenizer.rules.bins == "counts"
    return "molecules" if counts else "bins"


def small_job(store, run, steps=8, **changes):
    """A pretraining of seconds, by the objective that the store was written for."""
    fields = {
        "shape": Shape(preset="micro", dropout=0.1, type_cells=5),
        "training": PretrainOptions(
            objective=objective_of(store),
            steps=steps,
            batch_size=12,
            micro_batch_size=4,
            average_decay=0.5,
        ),
        "thinning": {"read_tokens": 12},
        "held_out": {"values": ("d",)},
        "keep": KeepOptions(log_every=1, judge_every=4, checkpoint_every=3, keep_last=2),
    }
    return PretrainJob(store=store, run=run, **{**fields, **changes})
