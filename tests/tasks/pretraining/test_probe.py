"""A probe of a corpus tells what the corpus holds: exactly where it reads all, nearly from a part."""

import pytest
from tests.tasks.pretraining.test_corpus import files, params_for

from sc_mamba2.tasks.pretraining.corpus import make_corpus, sample_corpus
from sc_mamba2.tasks.pretraining.probe import _count
from sc_mamba2.tokens import TokenStore

assert files  # a fixture of the neighbour


@pytest.mark.slow
@pytest.mark.parametrize(
    ("most", "exact"), [pytest.param(1000, True, marks=pytest.mark.slow), (60, False)]
)
def test_a_sample_tells_the_tokens_of_all(files, tmp_path, most, exact):
    params = params_for(files, tmp_path / "store")
    report, sample = sample_corpus(params, tmp_path / "probe", most)
    told = _count(report, TokenStore.open(sample), params.max_length)
    assert not (tmp_path / "store").exists()
    real = make_corpus(params)["store"]
    assert told.cells == real["cells"] and (told.counted == told.cells) == exact
    tolerance = 0 if exact else 0.1
    assert told.tokens == pytest.approx(real["tokens"] + real["cells"], rel=tolerance)

    report, store = sample_corpus(params, tmp_path / "again", 10)
    assert store == tmp_path / "store" and not (tmp_path / "again").exists()
    again = _count(report, TokenStore.open(store), params.max_length)
    assert again.tokens == real["tokens"] + real["cells"]
