"""Parameters of denoising."""

from typing import Annotated, Literal

from pydantic import Field

from sc_mamba2.tasks.shared.parameters import EachOnce, Parameters

PriorName = Literal["gene_means", "neighbours", "svd", "pretrained"]


class SplitParams(Parameters):
    """How molecules are held out, and in how many cells they are scored."""

    share: float = Field(
        0.5, gt=0, lt=1, description="probability with which a molecule is kept, 0 to 1"
    )
    cells: int = Field(
        1000, ge=10, description="cells, at most, drawn by chance, that numbers are chosen by"
    )


class PriorParams(Parameters):
    """Priors and hyperparameters to try, scored on held-out molecules."""

    names: Annotated[tuple[PriorName, ...], EachOnce] = Field(
        ("gene_means", "neighbours", "svd", "pretrained"),
        min_length=1,
        description="priors that may be chosen",
    )
    checkpoint: str = Field(
        "scm-counts",
        description="name of a shipped checkpoint, or a folder, of a model pretrained by molecules left out",
    )
    shift_cells: int = Field(
        512, ge=1, description="cells by which its rates are moved to the gene means, at most"
    )
    neighbours: tuple[int, ...] = Field(
        (15, 30, 60, 120), min_length=1, description="nearest cells whose counts are summed"
    )
    kappa: tuple[float, ...] = Field(
        (1, 2, 5),
        min_length=1,
        description="shape of the Gamma distribution of the neighbours' rate about the gene mean",
    )
    mean_molecules: tuple[float, ...] = Field(
        (1, 10, 100, 1000, 10000),
        min_length=1,
        description="molecules of the gene means that the simple method adds to a cell's own counts",
    )
    components: int = Field(
        30, ge=1, description="principal components in which the nearest cells are looked for"
    )
    ranks: tuple[int, ...] = Field((10, 30), min_length=1, description="singular vectors")
    phi: tuple[float, ...] = Field(
        (0.2, 0.5, 1, 2, 5, 20),
        min_length=1,
        description="shape of the Gamma distribution of a cell's rate about its prior",
    )


class OutputParams(Parameters):
    """What is written."""

    named_genes: str | None = Field(
        None, description="names by commas, or a file with a name a line; null: all genes"
    )
    imputed_genes: str | None = Field(
        None,
        description="genes that the file lacks, to be imputed by the checkpoint: names by commas, or a file; "
        "null: none",
    )
    most_values: int = Field(
        200_000_000, ge=1, description="cells times genes that are written at most, 4 bytes each"
    )
    cells_a_block: int = Field(
        512, ge=1, description="cells that are dense in memory together; changes speed only"
    )


class DenoisingParams(Parameters):
    """All parameters of denoising."""

    split: SplitParams = SplitParams()
    priors: PriorParams = PriorParams()
    output: OutputParams = OutputParams()
