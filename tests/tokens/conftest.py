"""A vocabulary of thirty genes whose order is no alphabet's, and cells over them."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from sc_mamba2.genes import Vocabulary
from sc_mamba2.tokens import Tokenizer, TokenizerRules

GENES = tuple(f"ENSG{(number * 7) % 30:011d}" for number in range(30))


@pytest.fixture(scope="session")
def vocabulary() -> Vocabulary:
    names = (*GENES[:10], "<cls>", *GENES[10:], "<pad>")
    return Vocabulary("thirty", names, names)


@pytest.fixture
def tokenizer(vocabulary) -> Tokenizer:
    return Tokenizer(vocabulary, TokenizerRules(n_bins=11, max_length=64))


@pytest.fixture(scope="session")
def expression() -> tuple[sparse.csr_matrix, np.ndarray, pd.DataFrame]:
    """Matrix, gene ids in an order of their own, obs; cell 3 is empty."""
    generator = np.random.default_rng(0)
    values = generator.gamma(2, 1, (12, 30)) * (generator.random((12, 30)) < 0.5)
    values[3] = 0
    obs = pd.DataFrame({"label": list("abcabcabcabc")}, index=[f"cell {n}" for n in range(12)])
    return sparse.csr_matrix(values.astype(np.float32)), np.array(sorted(GENES)), obs


@pytest.fixture
def tokens(tokenizer, expression):
    return tokenizer.tokenize(*expression)
