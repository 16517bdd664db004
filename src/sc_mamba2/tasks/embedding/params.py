"""Parameters of the embedding."""

from pydantic import Field

from sc_mamba2.tasks.shared.parameters import Parameters
from sc_mamba2.tasks.shared.params import EncodeParams, LabelReadingParams, LaunchParams


class SourceParams(Parameters):
    """Which cells are embedded, and where finished blocks are stored."""

    input: str | None = Field(
        "scanpy:pbmc68k_reduced", description="file of cells, of any size, or a named source"
    )
    blocks: str = Field(
        "data/07_model_output/embedding/blocks",
        description="folder of finished blocks, from which an interrupted run resumes",
    )


class EmbeddingOptions(EncodeParams):
    """The model, and how it embeds cells."""

    checkpoint: str = Field(
        "scm-counts", description="shipped checkpoint or checkpoint folder, of any task"
    )
    max_length: int | None = Field(
        None, ge=2, description="maximum tokens per cell; null: as the checkpoint was trained"
    )
    minimum_share: float = Field(
        0.003,
        ge=0,
        le=1,
        description="minimum share of the checkpoint's weight on the file's genes",
    )
    cells_a_block: int = Field(
        4096, ge=1, description="cells read and stored at a time; limits memory"
    )


class KeyParams(LabelReadingParams):
    """Columns of obs for scores and for an index; the embedding does not use them."""

    label_key: str | None = Field(
        None, description="column with the cell types; null: types are not scored"
    )
    batch_key: str | None = Field(None, description="column with the batches; null: not used")


class EvaluationParams(Parameters):
    """How the embedding is scored and plotted, on an evenly spaced sample of all cells."""

    cells: int = Field(10_000, ge=2, description="maximum number of sampled cells")
    neighbours: int = Field(15, ge=1, description="nearest neighbours that vote on a type or batch")
    folds: int = Field(5, ge=2, description="folds of the cross-validated vote")
    variable_genes: int = Field(
        2000, ge=2, description="highly variable genes for the PCA baseline"
    )
    components: int = Field(50, ge=1, description="components of the PCA baseline")
    untrained: bool = Field(
        True, description="whether to also score the same model with random weights"
    )


class MappingParams(Parameters):
    """How types are transferred from a labelled index to cells."""

    neighbours: int = Field(15, ge=1, description="nearest reference cells that vote on the type")
    unassigned_below: float = Field(
        0.5, ge=0, le=1, description="confidence below which a cell is marked as unassigned"
    )
    unassigned_beyond: float = Field(
        0.99,
        ge=0,
        le=1,
        description="quantile of the distances of held-out reference cells (by batch, if known) beyond which a "
        "cell is marked as unassigned: no reference cell is like it",
    )
    margin: float = Field(
        0.33,
        ge=0,
        le=1,
        description="how far, 0 to 1, that limit is raised towards the distance of unrelated cells if the "
        "reference has one batch, which cannot show the effect of another protocol",
    )
    shift: float = Field(
        0.5,
        ge=0,
        le=1,
        description="share of the difference between query and reference means to subtract from the query",
    )
    ridge: float = Field(
        3.0,
        gt=0,
        description="ridge of the within-type whitening, relative to the mean variance; higher: weaker",
    )
    folds: int = Field(4, ge=2, description="folds of a single-batch reference held out in turn")
    own_cells: int = Field(
        20_000, ge=2, description="maximum number of reference cells used for the limit"
    )
    remark_unassigned: float = Field(
        0.2,
        ge=0,
        le=1,
        description="share of unassigned cells above which a likely cause is reported",
    )


class EmbeddingParams(Parameters):
    """All parameters of the embedding."""

    source: SourceParams = SourceParams()
    options: EmbeddingOptions = EmbeddingOptions()
    launch: LaunchParams = LaunchParams()
    keys: KeyParams = KeyParams()
    evaluation: EvaluationParams = EvaluationParams()
    mapping: MappingParams = MappingParams()
