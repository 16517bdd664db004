"""Parameters of denoising."""

from typing import Annotated, Literal

from pydantic import Field

from sc_mamba2.tasks.shared.parameters import EachOnce, Parameters

PriorName = Literal["gene_means", "neighbours", "svd", "pretrained"]


class SplitParams(Parameters):
    """How molecules are held out, and in how many cells they are scored."""

    share: float = Field(0.5, gt=0, lt=1, description="probability that a molecule is kept, 0 to 1")
    cells: int = Field(
        1000,
        ge=10,
        description="maximum number of random cells used to choose hyperparameters and to score",
    )


class PriorParams(Parameters):
    """Priors and hyperparameters to try, scored on held-out molecules."""

    names: Annotated[tuple[PriorName, ...], EachOnce] = Field(
        ("gene_means", "neighbours", "svd", "pretrained"),
        min_length=1,
        description="candidate priors",
    )
    checkpoint: str = Field(
        "scm-counts",
        description="checkpoint, shipped or a folder, of a model pretrained to predict held-out molecules",
    )
    shift_cells: int = Field(
        512, ge=1, description="maximum cells used to shift its rates to the gene means"
    )
    neighbours: tuple[int, ...] = Field(
        (15, 30, 60, 120), min_length=1, description="nearest cells whose counts are summed"
    )
    kappa: tuple[float, ...] = Field(
        (1, 2, 5),
        min_length=1,
        description="shape of the Gamma distribution of the neighbours' rates around the gene means or the "
        "pretrained model's rates",
    )
    mean_molecules: tuple[float, ...] = Field(
        (1, 10, 100, 1000, 10000),
        min_length=1,
        description="molecules added to a cell's own counts in proportion to the gene means, in the baseline "
        "own_counts",
    )
    components: int = Field(
        30, ge=1, description="principal components for the nearest-neighbour search"
    )
    ranks: tuple[int, ...] = Field((10, 30), min_length=1, description="ranks of the SVD")
    phi: tuple[float, ...] = Field(
        (0.2, 0.5, 1, 2, 5, 20),
        min_length=1,
        description="shape of the Gamma distribution of a cell's rates around its prior",
    )


class OutputParams(Parameters):
    """What is written."""

    named_genes: str | None = Field(
        None, description="comma-separated names, or a file with one per line; null: all genes"
    )
    imputed_genes: str | None = Field(
        None,
        description="genes missing from the file, to be imputed by the checkpoint: comma-separated names, or a "
        "file; null: none",
    )
    most_values: int = Field(
        200_000_000, ge=1, description="maximum values written (cells times genes), 4 bytes each"
    )
    cells_a_block: int = Field(
        512, ge=1, description="cells held as dense arrays at a time; affects only speed"
    )


class DenoisingParams(Parameters):
    """All parameters of denoising."""

    split: SplitParams = SplitParams()
    priors: PriorParams = PriorParams()
    output: OutputParams = OutputParams()
