"""Parameters of batch correction."""

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
Variant = Literal["no_adversary", "no_domain_norm", "pooled_alone"]


class KeyParams(LabelReadingParams):
    """Columns of obs, and the split of the cells."""

    batch_key: str = Field("phase", description="column of obs with the batches")
    label_key: str | None = Field(
        "bulk_labels",
        description="column of obs with the cell types, for scores and figures; null: none. "
        "Training and stopping never see it",
    )
    validation_share: float = Field(
        0.1, gt=0, le=0.5, description="share of the cells of each batch that chooses the epoch"
    )


class HeadParams(Parameters):
    """What is fitted, and the encoder and decoder of a trained model."""

    fit: Literal["harmony", "gradient"] = Field(
        "harmony",
        description="harmony: Harmony alone, nothing is trained (seconds); gradient: a model is trained "
        "too and its embedding joins the candidates (minutes), as it is with a pretrained checkpoint to "
        "begin with",
    )

    paths: tuple[Branch, ...] = Field(
        ("pooled",),
        description="trunk: the Mamba2 layers' state at <cls>; pooled: sum of value times gene "
        "embedding; their projections are added. The trunk takes minutes where pooled takes seconds",
    )
    width: int = Field(30, ge=2, le=1024, description="numbers of the trained model's embedding")
    domain_norm: bool = Field(
        True, description="whether each batch has moments of its own in the norm of the embedding"
    )
    batch_width: int = Field(
        16, ge=1, le=1024, description="numbers of a batch's embedding, which the decoder gets"
    )
    decoder_width: int = Field(
        128,
        ge=1,
        le=65536,
        description="hidden width of the part of the decoder that reads the batch",
    )


class LossParams(Parameters):
    """The loss: reconstruction, adversary, similarity, and the weights of the last two."""

    mask_share: float = Field(
        0.4, ge=0, lt=1, description="share of a cell's genes that is hidden from the model"
    )
    adversary: float = Field(
        1.0,
        ge=0,
        description="strength of the reversed gradient of the batch discriminator; 0: none",
    )
    similarity: float = Field(0.0, ge=0, description="weight of the elastic cell similarity")
    similarity_threshold: float = Field(
        0.3, ge=0, le=1, description="cosine from which cells are drawn together"
    )
    mixing: float = Field(
        1.0,
        ge=0,
        description="weight, beside the reconstruction, of how far neighbours give the batch away when "
        "the epoch is chosen",
    )


class CorrectionFitParams(FineTuneParams):
    """Training parameters, with the defaults of this task."""

    learning_rate: float = Field(3e-3, gt=0, le=1, description="highest rate of AdamW")
    batch_size: int = Field(128, ge=2, le=65536, description="cells a step")
    max_epochs: int = Field(40, ge=1, description="epochs at most")
    patience: int = Field(
        10, ge=1, description="epochs without a better validation loss before the training stops"
    )
    gene_dropout: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="share of a cell's genes that an epoch leaves out, of the target too; the mask "
        "of the loss hides them from the model alone",
    )


class CandidateParams(Parameters):
    """The candidates and how they are joined, see `combine`; Harmony uses the genes of the tokenization."""

    components: int = Field(30, ge=2, le=1024, description="principal components of a candidate")
    temperature: float = Field(
        0.03,
        gt=0,
        le=100,
        description="difference of the label-free scores (0 to 1) by which a candidate weighs 2.7 times as much; "
        "large: all alike",
    )
    width: int = Field(20, ge=2, le=1024, description="numbers of the corrected embedding")


class AblationParams(Parameters):
    """Variants of the model, each trained separately."""

    names: Annotated[tuple[Variant, ...], EachOnce] = Field(
        (),
        description="variants that are trained beside the model: no_adversary, no_domain_norm and, "
        "where the trunk is among the paths, pooled_alone; each takes a training",
    )


class OutputParams(Parameters):
    """Outputs in addition to the embedding."""

    expression: bool = Field(
        False, description="whether the corrected expression is written, as a layer"
    )
    candidates: bool = Field(
        False, description="whether every candidate's embedding is written too, under its name"
    )


class BatchCorrectionParams(Parameters):
    """All parameters of batch correction."""

    keys: KeyParams = KeyParams()
    backbone: BackboneParams = BackboneParams()
    head: HeadParams = HeadParams()
    objective: LossParams = LossParams()
    fine_tune: CorrectionFitParams = CorrectionFitParams()
    predict: PredictParams = PredictParams()
    candidates: CandidateParams = CandidateParams()
    ablations: AblationParams = AblationParams()
    output: OutputParams = OutputParams()
