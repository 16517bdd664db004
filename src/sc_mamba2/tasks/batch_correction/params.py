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
        description="column of obs with the cell types, for scores and figures only (not training or "
        "stopping); null: none",
    )
    validation_share: float = Field(
        0.1, gt=0, le=0.5, description="share of each batch's cells used to select the epoch"
    )


class HeadParams(Parameters):
    """What is fitted, and the encoder and decoder of a trained model."""

    fit: Literal["harmony", "gradient"] = Field(
        "harmony",
        description="harmony: Harmony alone, without training (seconds); gradient: also train a model, "
        "whose embedding joins the candidates (minutes); always so with a pretrained "
        "checkpoint or ablations",
    )

    paths: tuple[Branch, ...] = Field(
        ("pooled",),
        description="trunk: state of the Mamba2 layers at <cls>; pooled: sum of value times gene "
        "embedding; their projections are added. The trunk takes minutes where pooled takes "
        "seconds",
    )
    width: int = Field(30, ge=2, le=1024, description="dimension of the trained model's embedding")
    domain_norm: bool = Field(
        True, description="whether the norm of the embedding has separate moments for each batch"
    )
    batch_width: int = Field(
        16, ge=1, le=1024, description="dimension of the batch embedding given to the decoder"
    )
    decoder_width: int = Field(
        128,
        ge=1,
        le=65536,
        description="hidden width of the batch-dependent part of the decoder",
    )


class LossParams(Parameters):
    """The loss: reconstruction, adversary and similarity, with the weights of the last two."""

    mask_share: float = Field(
        0.4, ge=0, lt=1, description="share of a cell's genes masked in the input"
    )
    adversary: float = Field(
        1.0,
        ge=0,
        description="strength of gradient reversal for the batch discriminator; 0: none",
    )
    similarity: float = Field(0.0, ge=0, description="weight of the elastic cell similarity")
    similarity_threshold: float = Field(
        0.3, ge=0, le=1, description="cosine above which cells are pulled together"
    )
    mixing: float = Field(
        1.0,
        ge=0,
        description="weight of batch mixing among neighbours, relative to reconstruction, when selecting "
        "the epoch",
    )


class CorrectionFitParams(FineTuneParams):
    """Training parameters with this task's defaults."""

    learning_rate: float = Field(3e-3, gt=0, le=1, description="peak learning rate of AdamW")
    batch_size: int = Field(128, ge=2, le=65536, description="cells per step")
    max_epochs: int = Field(40, ge=1, description="maximum number of epochs")
    patience: int = Field(
        10, ge=1, description="epochs without a lower validation loss before training stops"
    )
    gene_dropout: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="share of a cell's genes dropped at random in each epoch, from input and target; "
        "`mask_share` masks the input only",
    )


class CandidateParams(Parameters):
    """The candidates and how they are joined (see `combine`); Harmony uses the genes of the tokenization."""

    components: int = Field(
        30, ge=2, le=1024, description="principal components per Harmony candidate"
    )
    temperature: float = Field(
        0.03,
        gt=0,
        le=100,
        description="difference in label-free score (0 to 1) that multiplies a candidate's weight by 2.7; "
        "large: equal weights",
    )
    width: int = Field(20, ge=2, le=1024, description="dimension of the corrected embedding")


class AblationParams(Parameters):
    """Variants of the model, each trained separately."""

    names: Annotated[tuple[Variant, ...], EachOnce] = Field(
        (),
        description="variants to train in addition to the model, each separately: no_adversary, "
        "no_domain_norm and, if `paths` includes the trunk, pooled_alone",
    )


class OutputParams(Parameters):
    """Outputs in addition to the embedding."""

    expression: bool = Field(
        False, description="whether to write the corrected expression as a layer"
    )
    candidates: bool = Field(
        False,
        description="whether to also write the embeddings of candidates and baselines, by name",
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
