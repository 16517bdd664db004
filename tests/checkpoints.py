"""Small checkpoints with random weights, for tests of what reads one."""

from pathlib import Path

import torch

from sc_mamba2.cells import simulate_cells
from sc_mamba2.genes import Vocabulary, load_vocabulary
from sc_mamba2.model import Backbone, Heads, PretrainedModel, preset
from sc_mamba2.tokens import Tokenizer, TokenizerRules


def simulated_vocabulary(genes: int = 200) -> Vocabulary:
    """Return the vocabulary of `simulate_cells`."""
    return load_vocabulary().subset(simulate_cells(2, genes).var_names)


def random_backbone(vocabulary: Vocabulary, seed: int = 0) -> Backbone:
    """Return a `micro` backbone with dropout, so that a forgotten evaluation mode shows."""
    torch.manual_seed(seed)
    shape = preset("micro", vocabulary.size, pad_id=vocabulary.pad_id, n_bins=51, dropout=0.2)
    return Backbone(shape)


def write_random_checkpoint(folder: Path, genes: int = 200, seed: int = 0) -> Path:
    """Write a pretrained model for the genes of simulated cells."""
    vocabulary = simulated_vocabulary(genes)
    tokenizer = Tokenizer(vocabulary, TokenizerRules())
    PretrainedModel(random_backbone(vocabulary, seed), tokenizer, Heads()).save_pretrained(folder)
    return folder
