"""Cells of three types, what is tried on them in no time, and a judgement."""

import pytest

from sc_mamba2.cells import simulate_cells
from sc_mamba2.tasks.denoising.choose import choose, judge
from sc_mamba2.tasks.denoising.genes import prepare
from sc_mamba2.tasks.denoising.params import DenoisingParams, OutputParams, PriorParams, SplitParams
from sc_mamba2.tasks.shared.params import IngestionParams, ValidationParams
from sc_mamba2.tasks.shared.validation import ingest_and_validate
from sc_mamba2.training import ComputeOptions

FEW = DenoisingParams(
    split=SplitParams(cells=60),
    priors=PriorParams(
        names=("gene_means", "neighbours", "svd"),
        neighbours=(5, 15),
        kappa=(1, 5),
        mean_molecules=(10, 100),
        components=5,
        ranks=(3,),
    ),
    output=OutputParams(cells_a_block=32),
)
COMPUTE = ComputeOptions()


@pytest.fixture(scope="package")
def read():
    """Give cells as they were, and valid with their report."""
    raw = simulate_cells(90)
    return raw, *ingest_and_validate(raw, IngestionParams(), ValidationParams())


@pytest.fixture(scope="package")
def prepared(read):
    """Give counts and what is written."""
    return prepare(read[0], read[1], FEW.output, FEW.priors, IngestionParams())


@pytest.fixture(scope="package")
def choices(prepared):
    """Give the numbers of every method."""
    return choose(*prepared[:2], FEW.split, FEW.priors, FEW.output, COMPUTE)


@pytest.fixture(scope="package")
def judged(prepared, choices):
    """Give how every method tells the molecules held out."""
    return judge(*prepared[:2], choices, FEW.split, FEW.priors, FEW.output, COMPUTE)
