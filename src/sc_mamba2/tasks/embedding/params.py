"""Parameters of the embedding."""

from pydantic import Field

from sc_mamba2.tasks.shared.parameters import Parameters
from sc_mamba2.tasks.shared.params import EncodeParams, LabelReadingParams, LaunchParams


class SourceParams(Parameters):
    """Which cells are embedded, and where finished blocks are stored."""

    input: str | None = Field(
        "scanpy:pbmc68k_reduced", description="file of cells of any size, or a named source"
    )
    blocks: str = Field(
        "data/07_model_output/embedding/blocks",
        description="folder of the embedded blocks, from which a killed run goes on",
    )


class EmbeddingOptions(EncodeParams):
    """The model, and how it embeds cells."""

    checkpoint: str = Field(
        "scm-counts", description="name of a shipped checkpoint, or a folder, of any task"
    )
    max_length: int | None = Field(
        None, ge=2, description="tokens a cell at most; null: as the checkpoint was trained with"
    )
    minimum_share: float = Field(
        0.003,
        ge=0,
        le=1,
        description="share of the checkpoint's weight that the genes of the file must hold",
    )
    cells_a_block: int = Field(
        4096, ge=1, description="cells that are read and kept together; bounds the memory"
    )


class KeyParams(LabelReadingParams):
    """Columns of obs for the scores; the embedding does not use them."""

    label_key: str | None = Field(None, description="column with the cell types; null: no scores")
    batch_key: str | None = Field(None, description="column with the batches; null: not used")


class EvaluationParams(Parameters):
    """How the embedding is scored and plotted, on an even sample of all cells."""

    cells: int = Field(10_000, ge=2, description="cells of the sample at most")
    neighbours: int = Field(15, ge=1, description="nearest neighbours that vote on a cell's type")
    folds: int = Field(5, ge=2, description="folds of the cross-validated vote")
    variable_genes: int = Field(2000, ge=2, description="genes of the PCA baseline")
    components: int = Field(50, ge=1, description="components of the PCA baseline")
    untrained: bool = Field(
        True, description="whether the same model with random weights is also scored"
    )


class MappingParams(Parameters):
    """How types are transferred from a labelled index to cells."""

    neighbours: int = Field(15, ge=1, description="nearest reference cells that vote on the type")
    unassigned_below: float = Field(
        0.5, ge=0, le=1, description="cells with a lower confidence are marked as unassigned"
    )
    unassigned_beyond: float = Field(
        0.99,
        ge=0,
        le=1,
        description="cells further away than this share of reference cells, of a batch that was left "
        "out, are marked as unassigned: nothing there is like them",
    )
    margin: float = Field(
        0.33,
        ge=0,
        le=1,
        description="how far that limit is moved towards the distance of cells that have nothing in "
        "common, where the reference has one batch, which cannot tell what another protocol does",
    )
    shift: float = Field(
        0.5,
        ge=0,
        le=1,
        description="share of the difference between the query's mean and the reference's that is "
        "taken off the query",
    )
    ridge: float = Field(
        3.0, gt=0, description="strength by which what varies within the types is held down less"
    )
    folds: int = Field(
        4, ge=2, description="parts of a reference of one batch that are left out in turn"
    )
    own_cells: int = Field(
        20_000, ge=2, description="reference cells, at most, that are left out for the limit"
    )
    remark_unassigned: float = Field(
        0.5,
        ge=0,
        le=1,
        description="share of unassigned cells beyond which the cause is looked for",
    )


class EmbeddingParams(Parameters):
    """All parameters of the embedding."""

    source: SourceParams = SourceParams()
    options: EmbeddingOptions = EmbeddingOptions()
    launch: LaunchParams = LaunchParams()
    keys: KeyParams = KeyParams()
    evaluation: EvaluationParams = EvaluationParams()
    mapping: MappingParams = MappingParams()
