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
        description="one .h5mu file, or one file per modality, optionally given as protein=FILE",
    )


class KeyParams(LabelReadingParams):
    """Columns of obs, and the split of the cells."""

    batch_key: str | None = Field(
        None, description="column of obs with the batches to correct for; null: none"
    )
    label_key: str | None = Field(
        None,
        description="column of obs with the cell types, for scores and figures only (not training or "
        "stopping); null: none",
    )
    held_out_key: str | None = Field(
        None, description="column of obs that marks held-out cells; null: drawn at random"
    )
    held_out_value: str = Field("test", description="its value for held-out cells")
    held_out_share: float = Field(
        0.1,
        ge=0,
        le=0.5,
        description="share of the cells held out at random for scoring, never trained on; below 20 cells, "
        "validation cells are scored too",
    )
    validation_share: float = Field(
        0.1, gt=0, le=0.5, description="share of the other cells used to select the epoch"
    )


class FeatureParams(Parameters):
    """How proteins and peaks are read, named and given values."""

    zero_negative_proteins: bool = Field(
        False, description="whether to set negative protein values (background) to 0"
    )
    genome: Literal["hg38", "hg19"] = Field("hg38", description="genome build of peaks")
    peaks_as: Literal["peaks", "bins", "genes"] = Field(
        "peaks", description="peaks as they are, merged into bins, or assigned to the nearest gene"
    )
    bin_size: int = Field(5000, ge=100, description="bin width in bases")
    gene_distance: int = Field(
        100_000,
        ge=0,
        description="maximum distance to the nearest gene in bases; other peaks are dropped",
    )
    peak_values: Literal["tf_idf", "binary"] = Field(
        "tf_idf", description="value of an open peak: weighted by rarity, or 1"
    )
    max_peaks: int = Field(
        20_000,
        ge=2,
        description="maximum number of peaks per cell; those with the highest values are kept",
    )


class JointBackboneParams(BackboneParams):
    """The backbone that training starts from; by default the packaged one."""

    checkpoint: str | None = Field(
        "scm-tiny",
        description="checkpoint to start from; null: a new backbone of the preset. Genes it does not "
        "know, proteins and peaks are appended to its vocabulary",
    )


class HeadParams(Parameters):
    """The head: maps a cell to its embedding, and the embedding to every modality."""

    paths: tuple[Branch, ...] = Field(
        ("pooled",),
        description="trunk: state of the Mamba2 layers at <cls>; pooled: sum of value times feature "
        "embedding, one block per modality; the paths are added. The trunk takes minutes "
        "where pooled takes seconds",
    )
    components: int = Field(
        30, ge=2, le=1024, description="maximum number of embedding dimensions per modality"
    )
    shrink: bool = Field(
        True,
        description="whether components start at their estimated noise-free size (Gavish and Donoho "
        "2017), not their size in the data",
    )
    across_penalties: tuple[float, ...] = Field(
        (-3.0, -2.5, -2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0),
        min_length=1,
        description="candidate ridge penalties, as powers of ten, chosen by leave-one-out, for initially "
        "predicting a missing block from another",
    )
    table_rate_factor: float = Field(
        0.03, ge=0, description="learning rate of the pooled path's table relative to all else"
    )
    domain_norm: bool = Field(
        True, description="whether the norm of the embedding has a separate mean for each batch"
    )
    batch_width: int = Field(
        16, ge=1, le=1024, description="dimension of the batch embedding given to the decoder"
    )
    decoder_width: int = Field(
        64,
        ge=1,
        le=65536,
        description="hidden width of the batch-dependent part of the decoder",
    )


class LossParams(Parameters):
    """The training loss."""

    mask_share: float = Field(
        0.2, ge=0, lt=1, description="share of a cell's features masked in the input"
    )
    alone_share: float = Field(
        0.5,
        ge=0,
        le=1,
        description="share of the cells per step shown with one modality only, from which all others are "
        "reconstructed",
    )
    adversary: float = Field(
        1.0,
        ge=0,
        description="strength of gradient reversal for the batch discriminator; 0: none",
    )
    contrast: float = Field(
        0.0, ge=0, description="weight of the contrastive alignment of a cell's modalities; 0: none"
    )
    temperature: float = Field(0.1, gt=0, description="temperature of the contrastive alignment")
    mixing: float = Field(
        1.0,
        ge=0,
        description="weight of batch mixing among neighbours, relative to reconstruction, when selecting "
        "the epoch",
    )


class JointFitParams(FineTuneParams):
    """Training parameters with this task's defaults."""

    learning_rate: float = Field(1e-3, gt=0, le=1, description="peak learning rate of AdamW")
    batch_size: int = Field(32, ge=2, le=65536, description="cells per step")
    max_epochs: int = Field(10, ge=1, description="maximum number of epochs")
    patience: int = Field(
        3, ge=1, description="epochs without a lower validation loss before training stops"
    )
    keep_start: bool = Field(
        True,
        description="whether the untrained model counts as epoch 0 when the best epoch is selected",
    )
    gene_dropout: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="share of a cell's features dropped at random in each epoch, from input and target; "
        "`mask_share` masks the input only",
    )


class ImputationParams(Parameters):
    """How a modality is predicted from the others, after training."""

    most_features: int = Field(
        1000,
        ge=0,
        description="modalities with more features get no imputer; the decoder predicts them, up to 5,000",
    )
    most_cells: int = Field(
        3000,
        ge=10,
        description="maximum number of training cells to fit an imputer to, drawn at random",
    )
    curvatures: tuple[NotNegative, ...] = Field(
        (0.2, 0.4, 0.8),
        min_length=1,
        description="candidate curvatures of the kernel on embedding and trunk state; 0: constant",
    )
    shares: tuple[NotNegative, ...] = Field(
        (0.0, 0.5, 1.0),
        min_length=1,
        description="candidate shares of that kernel beside the linear one; 0: ridge alone",
    )
    strengths: tuple[NotNegative, ...] = Field(
        (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0),
        min_length=1,
        description="candidate penalties, chosen per feature, relative to the mean kernel diagonal",
    )
    folds: int = Field(5, ge=2, description="cross-validation folds for choosing these")


class BaselineParams(Parameters):
    """The baselines."""

    components: int = Field(30, ge=1, description="principal components per modality")
    regularisation: tuple[float, ...] = Field(
        (0.1, 1.0, 10.0, 100.0, 1000.0, 10000.0),
        description="candidate ridge penalties, chosen per feature by leave-one-out",
    )
    most_features: int = Field(
        1000, ge=0, description="modalities with more features are not predicted by ridge"
    )
    most_cells: int = Field(
        5000, ge=10, description="maximum number of cells to fit ridge to, drawn at random"
    )


class AblationParams(Parameters):
    """Variants of the model to train for comparison."""

    names: Annotated[tuple[Variant, ...], EachOnce] = Field(
        (),
        description="start_alone: untrained; pooled_alone: without the Mamba2 layers; trunk_alone: "
        "without the pooled path; with_trunk: both paths; trunk_frozen: both paths, backbone "
        "frozen; trunk_states: both paths, untrained; no_adversary: without the adversary; "
        "empty: none",
    )


class EvaluationParams(Parameters):
    """Scoring."""

    fewest_cells: int = Field(
        10,
        ge=1,
        description="cell types with fewer scored cells are left out of the scores by type",
    )


class OutputParams(Parameters):
    """Outputs in addition to the embeddings."""

    most_features: int = Field(
        5000,
        ge=0,
        description="imputed modalities with more features are not written (dense table); without an "
        "imputer the limit is at most 5,000",
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
