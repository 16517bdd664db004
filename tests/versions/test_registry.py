"""The registry holds what the paper used and others, and says nothing that it cannot know."""

import pytest
from pydantic import ValidationError

from sc_mamba2.pipelines.registry import named_pipelines
from sc_mamba2.versions.registry import PublicData, registry

PAPER = {
    "pbmc10k", "perirhinal_cortex", "covid_19", "multiple_sclerosis", "myeloid", "hpancreas", "bmmc",
    "multiome_pbmc", "norman", "adamson", "replogle_k562", "immune_human", "lung_kim",
}  # fmt: skip
OTHER_USES = {"first steps", "zero-shot"}


def test_the_data_sets_of_the_paper_have_names():
    assert registry().data.keys() >= PAPER


@pytest.mark.parametrize("name", registry().data)
def test_a_row_is_of_tasks_that_there_are(name: str):
    assert set(registry().data[name].tasks) <= named_pipelines().keys() | OTHER_USES


@pytest.mark.parametrize("name", registry().data)
def test_a_number_to_compare_with_is_one_that_is_stated(name: str):
    expected = registry().data[name].expected
    for number in (expected.cells, expected.genes, expected.proteins):
        assert number is None or f"{number:,} " in expected.stated


def test_a_row_that_contradicts_itself_is_refused():
    row = registry().data["norman"].model_dump()
    PublicData(**row)
    for change in ({"member": None}, {"address": "ftp://x"}, {"tasks": ()}, {"license": "CC0"}):
        with pytest.raises(ValidationError):
            PublicData(**row | change)
