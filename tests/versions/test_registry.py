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
def test_a_row_fits_together(name: str):
    row = registry().data[name]
    assert row.address.startswith("https://")
    assert (row.comes == "archive") == (row.member is not None)
    assert row.tasks and set(row.tasks) <= named_pipelines().keys() | OTHER_USES
    for number in (row.expected.cells, row.expected.genes, row.expected.proteins):
        assert number is None or f"{number:,} " in row.expected.stated


def test_a_field_that_there_is_not_is_refused():
    row = registry().data["norman"].model_dump()
    for change in ({"license": "CC0"}, {"comes": "by post"}):
        with pytest.raises(ValidationError):
            PublicData(**row | change)
