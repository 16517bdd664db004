"""What is not repeated; that a run is repeated exactly stands in tests/e2e/test_project.py."""

import pytest
from tests.runs.made import made

from sc_mamba2.errors import UserError
from sc_mamba2.model.manifest import sha256_of
from sc_mamba2.runs.records import DataFact
from sc_mamba2.runs.rerun import check_repeatable


@pytest.fixture
def record(tmp_path):
    (tmp_path / "x.h5ad").write_text("cells")
    sha256 = sha256_of(tmp_path / "x.h5ad")
    return made(data={"reference.raw_cells": DataFact(sources=["x.h5ad"], sha256=sha256)})


def test_the_same_code_and_data_may_be_repeated(record, tmp_path):
    check_repeatable(record, tmp_path, force=False)


@pytest.mark.parametrize("text", ["other cells", None])
def test_other_data_are_refused_but_by_force(record, tmp_path, text):
    (tmp_path / "x.h5ad").unlink()
    if text:
        (tmp_path / "x.h5ad").write_text(text)
    with pytest.raises(UserError, match="rerun-data"):
        check_repeatable(record, tmp_path, force=False)
    check_repeatable(record, tmp_path, force=True)


def test_other_code_is_refused_but_by_force(record, tmp_path):
    older = record.code.model_copy(
        update={"sha256": "0" * 64, "commit": "1" * 40, "changed": False}
    )
    other = record.model_copy(update={"code": older})
    with pytest.raises(UserError, match="rerun-code") as refused:
        check_repeatable(other, tmp_path, force=False)
    assert "git checkout 111111111" in refused.value.mend
    check_repeatable(other, tmp_path, force=True)


@pytest.mark.parametrize("state", ["failed", "running"])
def test_a_run_without_results_is_refused_even_by_force(record, tmp_path, state):
    with pytest.raises(UserError, match="rerun-state") as refused:
        check_repeatable(record.model_copy(update={"state": state}), tmp_path, force=True)
    assert "kedro run --pipelines=annotation --env=test" in refused.value.mend
