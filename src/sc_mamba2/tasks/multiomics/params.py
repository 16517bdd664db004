"""Parameters of multi-omics."""

from typing import Annotated, Literal

from pydantic import Field

from sc_mamba2.tasks.shared.parameters import EachOnce, Parameters
from sc_mamba2.tasks.shared.params import (
    BackboneParams,
    FineTuneParams,
    LabelReadingParams,
    PredictParams,
)

Branch = Literal["trunk", "pooled"]
NotNegative = Annotated[float, Field(ge=0)]
Variant = Literal[
    "start_alone",
    "pooled_alone",
    "trunk_alone",
    "trunk_frozen",
    "trunk_states",
    "with_trunk",
    "no_adversary",
]


class SourceParams(Parameters):
    """Input files."""

    inputs: tuple[str, ...] = Field(
        ("simulated:rna-protein",),
        description="one .h5mu file, or one file a modality, each may be said to be one: protein=FILE",
    )


class KeyParams(LabelReadingParams):
    """Columns of obs, and the split of the cells."""

    batch_key: str | None = Field(
        None, description="column of obs with the batches to correct for; null: none"
    )
    label_key: str | None = Field(
        None,
        description="column of obs with the cell types, for scores and figures; null: none. "
        "Training and stopping never see it",
    )
    held_out_key: str | None = Field(
        None, description="column of obs that says which cells are held out; null: by chance"
    )
    held_out_value: str = Field("test", description="its value for the cells held out")
    held_out_share: float = Field(
        0.1,
        ge=0,
        le=0.5,
        description="share of the cells held out at random: never trained on, and used for all scores",
    )
    validation_share: float = Field(
        0.1, gt=0, le=0.5, description="share of the other cells that chooses the epoch"
    )


class FeatureParams(Parameters):
    """How features other than genes are read, named and valued."""

    zero_negative_proteins: bool = Field(
        False, description="whether protein values below 0 are background and become 0"
    )
    genome: Literal["hg38", "hg19"] = Field("hg38", description="build that peaks lie in")
    peaks_as: Literal["peaks", "bins", "genes"] = Field(
        "peaks", description="peaks as they are, joined in bins, or given to the nearest gene"
    )
    bin_size: int = Field(5000, ge=100, description="bases of a bin")
    gene_distance: int = Field(
        100_000, ge=0, description="bases to the nearest gene at most; other peaks are dropped"
    )
    peak_values: Literal["tf_idf", "binary"] = Field(
        "tf_idf", description="value of an open peak: weighed by its rarity, or 1"
    )
    max_peaks: int = Field(
        20_000, ge=2, description="peaks a cell at most; those of the highest values are kept"
    )


class JointBackboneParams(BackboneParams):
    """Which backbone the training starts from; by default the packaged one."""

    checkpoint: str | None = Field(
        "scm-tiny",
        description="checkpoint to start from; null: a new backbone of the preset. Genes that it does "
        "not know, proteins and peaks become new rows behind its own",
    )


class HeadParams(Parameters):
    """The head: from a cell to its embedding, and from it to every modality."""

    paths: tuple[Branch, ...] = Field(
        ("pooled",),
        description="trunk: the Mamba2 layers' state at <cls>; pooled: sum of value times feature "
        "embedding, a block of numbers a modality; they are added. The trunk takes minutes where pooled "
        "takes seconds",
    )
    components: int = Field(
        30, ge=2, le=1024, description="numbers of the cell embedding for each modality, at most"
    )
    shrink: bool = Field(
        True,
        description="whether each component has at first the size that it has without noise (Gavish and "
        "Donoho 2017), not the size in the data",
    )
    across_penalties: tuple[float, ...] = Field(
        (-3.0, -2.5, -2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0),
        min_length=1,
        description="powers of ten: penalties of ridge to choose from, leaving one cell out, by which a "
        "block at first predicts another that a cell lacks",
    )
    table_rate_factor: float = Field(
        0.03, ge=0, description="rate of the pooled path's table over that of all else"
    )
    domain_norm: bool = Field(
        True, description="whether each batch has a mean of its own in the norm of the embedding"
    )
    batch_width: int = Field(
        16, ge=1, le=1024, description="numbers of a batch's embedding, which the decoder gets"
    )
    decoder_width: int = Field(
        64,
        ge=1,
        le=65536,
        description="hidden width of the part of the decoder that reads the batch",
    )


class LossParams(Parameters):
    """The training loss."""

    mask_share: float = Field(
        0.2, ge=0, lt=1, description="share of a cell's features that is hidden from the model"
    )
    alone_share: float = Field(
        0.5,
        ge=0,
        le=1,
        description="share of the cells of a step of which one modality alone is seen; the others are "
        "to be reconstructed from it",
    )
    adversary: float = Field(
        1.0,
        ge=0,
        description="strength of the reversed gradient of the batch discriminator; 0: none",
    )
    contrast: float = Field(
        0.0, ge=0, description="weight of the contrastive alignment of a cell's modalities; 0: none"
    )
    temperature: float = Field(0.1, gt=0, description="temperature of the contrastive alignment")
    mixing: float = Field(
        1.0,
        ge=0,
        description="weight, beside the reconstruction, of how well neighbours predict the batch when "
        "the epoch is chosen",
    )


class JointFitParams(FineTuneParams):
    """Training parameters with this task's defaults."""

    learning_rate: float = Field(1e-3, gt=0, le=1, description="highest rate of AdamW")
    batch_size: int = Field(32, ge=2, le=65536, description="cells a step")
    max_epochs: int = Field(10, ge=1, description="epochs at most")
    patience: int = Field(
        3, ge=1, description="epochs without a better validation loss before the training stops"
    )
    keep_start: bool = Field(
        True,
        description="whether the model as it starts counts as epoch 0 when the best epoch is chosen",
    )
    gene_dropout: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="share of a cell's features that an epoch leaves out, of the target too; the mask "
        "of the loss hides them from the model alone",
    )


class ImputationParams(Parameters):
    """How a modality is predicted from the others, once the embedding is trained."""

    most_features: int = Field(
        1000,
        ge=0,
        description="a modality of more features has no imputer; the decoder predicts it",
    )
    most_cells: int = Field(
        3000, ge=10, description="training cells that an imputer is fitted to at most, by chance"
    )
    curvatures: tuple[NotNegative, ...] = Field(
        (0.2, 0.4, 0.8),
        min_length=1,
        description="sharpness of the kernel on embedding and trunk state, to choose from; 0 is ridge",
    )
    shares: tuple[NotNegative, ...] = Field(
        (0.0, 0.5, 1.0),
        min_length=1,
        description="share of that kernel beside the linear one, to choose from; 0: ridge alone",
    )
    strengths: tuple[NotNegative, ...] = Field(
        (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0),
        min_length=1,
        description="penalties to choose from, for each feature, over the mean size of the kernel",
    )
    folds: int = Field(5, ge=2, description="folds of the training cells by which they are chosen")


class BaselineParams(Parameters):
    """The baselines."""

    components: int = Field(30, ge=1, description="principal components of each modality")
    regularisation: tuple[float, ...] = Field(
        (0.1, 1.0, 10.0, 100.0, 1000.0, 10000.0),
        description="penalties of ridge to choose from, for each feature, leaving one cell out",
    )
    most_features: int = Field(
        1000, ge=0, description="a modality of more features is not predicted by ridge"
    )
    most_cells: int = Field(
        5000, ge=10, description="cells that ridge is fitted to at most, by chance"
    )


class AblationParams(Parameters):
    """Variants of the model to train for comparison."""

    names: Annotated[tuple[Variant, ...], EachOnce] = Field(
        (),
        description="start_alone: nothing is trained; pooled_alone: without the Mamba2 layers; "
        "trunk_alone: without the pooled path; with_trunk: with both; trunk_frozen: with both, the layers "
        "stay as they were; trunk_states: with both, nothing is trained; no_adversary: without that; "
        "empty: none",
    )


class EvaluationParams(Parameters):
    """Scoring."""

    fewest_cells: int = Field(
        10, ge=1, description="types with fewer scored cells are left out of the scores by type"
    )


class OutputParams(Parameters):
    """Output in addition to the embeddings."""

    most_features: int = Field(
        5000,
        ge=0,
        description="a modality of more features is not written as imputed: the table is dense. One that "
        "has no imputer is never imputed beyond 5,000",
    )


class MultiomicsParams(Parameters):
    """All parameters of multi-omics."""

    source: SourceParams = SourceParams()
    keys: KeyParams = KeyParams()
    features: FeatureParams = FeatureParams()
    backbone: JointBackboneParams = JointBackboneParams()
    head: HeadParams = HeadParams()
    objective: LossParams = LossParams()
    fine_tune: JointFitParams = JointFitParams()
    imputation: ImputationParams = ImputationParams()
    predict: PredictParams = PredictParams()
    baselines: BaselineParams = BaselineParams()
    ablations: AblationParams = AblationParams()
    evaluation: EvaluationParams = EvaluationParams()
    output: OutputParams = OutputParams()
