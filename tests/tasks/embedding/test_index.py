"""An index on disk: read as it was written or refused, and never used for another space."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from sc_mamba2.errors import UserError
from sc_mamba2.tasks.embedding.index import ReferenceIndex

SPACE = {"checkpoint_sha256": "one", "pooling": ["cls"], "max_length": 4096}


@pytest.fixture
def index() -> ReferenceIndex:
    random = np.random.default_rng(0)
    return ReferenceIndex(
        random.normal(size=(20, 4)).astype(np.float32),
        random.choice(["a", "b"], 20),
        pd.Index([f"cell {at}" for at in range(20)]),
        np.sort(random.random(20).astype(np.float32)),
        random.random(30).astype(np.float32),
        {"label_key": "cell_type", "neighbours": 3, "space": SPACE},
    )


def test_an_index_of_another_space_is_refused(index):
    index.check_space(SPACE)
    for other in ({"checkpoint_sha256": "two"}, {"pooling": ["mean"]}, {"max_length": 100}):
        with pytest.raises(UserError, match="index-checkpoint"):
            index.check_space(SPACE | other)
    named = replace(index, facts=index.facts | {"checkpoint": "scm-counts"})
    with pytest.raises(UserError, match="add --checkpoint scm-counts"):
        named.check_space(SPACE | {"checkpoint_sha256": "two"})


def test_an_index_is_read_as_it_was_written_or_refused(index, tmp_path):
    folder = tmp_path / "index"
    index.save(folder)
    again = ReferenceIndex.load(folder)
    assert np.array_equal(again.vectors, index.vectors) and again.facts == index.facts
    assert list(again.labels) == list(index.labels) and list(again.names) == list(index.names)
    with pytest.raises(UserError, match="index-folder"):
        ReferenceIndex.load(tmp_path)
    for name in ("vectors.npy", "index.json", "cells.parquet", "manifest.json"):
        index.save(folder)
        data = bytearray((folder / name).read_bytes())
        data[len(data) // 2] ^= 1
        (folder / name).write_bytes(data)
        with pytest.raises(UserError, match="index-damaged"):
            ReferenceIndex.load(folder)
