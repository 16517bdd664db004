"""Parameters of annotation."""

from collections.abc import Iterable
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from sc_mamba2.tasks.shared.parameters import EachOnce, Parameters
from sc_mamba2.tasks.shared.params import (
    BackboneParams,
    BlockLaunchParams,
    FineTuneParams,
    LabelReadingParams,
    PredictParams,
)

Branch = Literal["trunk", "pooled", "readout"]
Expert = Literal[
    "logistic_regression",
    "balanced_logistic_regression",
    "pca_neighbours",
    "rank_prototypes",
    "rank_neighbours",
    "pooled",
    "trunk",
    "trunk_regression",
]


class LabelParams(LabelReadingParams):
    """Labels and the split of the reference."""

    key: str = Field("bulk_labels", description="column of obs with the cell types")
    batch_key: str | None = Field(
        None,
        description="column of the reference's obs with studies, donors or batches: left out one after "
        "another they judge the experts; null: the first of study, dataset, batch, donor and sample",
    )
    query_key: str | None = Field(
        None,
        description="column of the query with its own labels, for the score; null: the same key",
    )
    rollup: str | None = Field(
        None,
        description="file that maps each type to a broad one, JSON or a CSV of two columns; "
        "null: that of the checkpoint, or none",
    )
    test_share: float = Field(
        0.2, gt=0, lt=1, description="share of the reference held out where there is no query"
    )
    validation_share: float = Field(
        0.15, gt=0, le=0.5, description="share of the training cells that chooses the epoch"
    )


class HeadParams(Parameters):
    """The classifier: its paths, whose logits are added, and how it is fitted."""

    paths: Annotated[tuple[Branch, ...], EachOnce] = Field(
        ("trunk", "pooled", "readout"),
        min_length=1,
        description="trunk: the Mamba2 layers; pooled: sum of value times gene embedding; readout: "
        "linear in the log-normalised values",
    )
    fit: Literal["consensus", "gradient", "network", "linear", "prototypes"] = Field(
        "consensus",
        description="consensus: several methods that are fitted at once, each as heavy as the query's own "
        "structure and left-out batches find it right (`annotation.consensus`); gradient: a network, "
        "whose head learns with the backbone epoch by epoch, is one more of these. The others are one "
        "network alone; network: that of gradient; the last two leave "
        "the backbone as it is; linear: the head is one logistic regression, for few labels; "
        "prototypes: trunk and pooled tell by the nearest mean of a type's cells, the readout is a "
        "logistic regression, for a query of another study",
    )
    embedding_variance: float = Field(
        1.0,
        gt=0,
        description="of a linear head: variance of trunk and pooled, each, over that of the genes",
    )
    regularisation: tuple[float, ...] = Field(
        (0.01, 0.1, 1.0, 10.0),
        min_length=1,
        description="of a head fitted at once: inverse penalties C, chosen by cross-validation",
    )
    folds: int = Field(
        3, ge=2, description="of a head fitted at once: folds of that cross-validation"
    )
    kept_cells: int = Field(
        5000,
        ge=0,
        description="labelled cells that stay with the model: a consensus calls by them, a network's "
        "head is fitted anew by them to a query that lacks genes",
    )
    keeps: Literal["cells", "sums"] = Field(
        "cells",
        description="what stays with a consensus: these cells, or sums over ten or more alike ones, from "
        "which it draws cells: a folder that can be given away where cells cannot",
    )
    refit_below: float = Field(
        0.98,
        ge=0,
        le=1,
        description="share of the model's weight below which a query's genes have the head fitted anew",
    )
    dropout: float = Field(0.2, ge=0, lt=1, description="dropout before the classifiers")
    class_weight_power: float = Field(
        0.5, ge=0, le=1, description="a class weighs (1 / its cells) to this power; 0: all alike"
    )
    label_smoothing: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="share of a training cell's label that is spread over all classes; the epoch is "
        "chosen by the loss without it",
    )
    readout_rate_factor: float = Field(
        1.0, gt=0, description="learning rate of the readout over that of the rest"
    )
    readout_weight_decay: float = Field(1.0, ge=0, description="weight decay of the readout")

    @property
    def is_consensus(self) -> bool:
        """Whether several experts call the cells, not one network."""
        return self.fit in ("consensus", "gradient")


OF_BACKBONE: tuple[Expert, ...] = ("pooled", "trunk", "trunk_regression")
FINE_TUNED = "fine_tuned"  # the expert trained by gradient descent
# Parameters that only a network uses.
OF_NETWORK = (
    "annotation.fine_tune",
    "annotation.ablations",
    "annotation.head.paths",
    "annotation.head.dropout",
    "annotation.backbone.preset",
)


class ConsensusParams(Parameters):
    """The experts of a consensus, and how they are weighted."""

    experts: Annotated[tuple[Expert, ...], EachOnce] = Field(
        (
            "logistic_regression",
            "balanced_logistic_regression",
            "pca_neighbours",
            "rank_prototypes",
            "rank_neighbours",
            "trunk_regression",
        ),
        min_length=1,
        description="who is asked. With a pretrained checkpoint also trunk_regression: logistic regression "
        "on all genes and the state of its Mamba2 layers; and, if named here, pooled and trunk: the nearest "
        "class mean in its sum of gene embeddings, and in that state",
    )
    few_labels: float = Field(
        50.0,
        ge=0,
        description="labelled cells per type (mean) up to which the default, without a checkpoint, starts "
        "from few_labels_start; 0: never",
    )
    few_labels_start: str = Field("scm-counts", description="that checkpoint")
    few_labels_share: float = Field(
        0.02,
        ge=0,
        le=1,
        description="share of its weight that the genes of both files must hold; with less it is left out",
    )
    regression_strength: float = Field(
        500.0,
        gt=0,
        description="of logistic regression: inverse penalty relative to a cell's mean log loss, that is, C "
        "times the number of reference cells",
    )
    balanced_regression_strength: float = Field(
        50.0, gt=0, description="the same where every type is as heavy as the others"
    )
    trunk_regression_strength: float = Field(
        500.0, gt=0, description="the same of trunk_regression"
    )
    trunk_variance: float = Field(
        0.1, gt=0, description="of trunk_regression: variance of the state relative to the genes'"
    )
    components: int = Field(50, ge=1, description="principal components before the neighbours")
    neighbours: int = Field(15, ge=1, description="neighbours that vote")
    markers: int = Field(100, ge=1, description="genes a type whose ranks are looked at")
    depth_ratio: float = Field(
        1.25,
        ge=1,
        description="of the median molecules a cell, above which the deeper file is thinned to the other",
    )
    least_molecules: float = Field(
        1000, ge=0, description="a cell, in the median, below which no file is thinned"
    )
    resolutions: tuple[float, ...] = Field(
        (1.0, 2.0, 3.0), description="of the query's Leiden clusters that judge the experts"
    )
    fewest_cells: int = Field(
        30, ge=2, description="of a query; with fewer its structure says nothing"
    )
    structure_scale: float = Field(
        0.0075,
        gt=0,
        description="difference of mutual information with the clusters that counts (e-fold)",
    )
    left_out_scale: float = Field(
        0.03, gt=0, description="difference of accuracy in batches left out that counts (e-fold)"
    )
    folds: int = Field(
        3,
        ge=2,
        description="parts of the reference that are left out in turn, as whole batches",
    )
    alike_scale: float = Field(
        0.0015,
        gt=0,
        description="the same of cells left out without their batch, where the query is like the reference",
    )
    left_out_cells: int = Field(
        1500, ge=10, description="labelled cells at most on which that is done"
    )
    shared_error_power: float = Field(
        4.0, ge=0, description="of kappa between two experts' calls; the higher, the less is shared"
    )
    mixtures: int = Field(200, ge=1, description="mixtures of experts that are tried")
    smoothing: float = Field(
        0.8,
        ge=0,
        lt=1,
        description="share of the neighbours in a cell's probabilities, in a query without end that is unlike "
        "the reference",
    )
    smoothing_cells: int = Field(1000, ge=1, description="cells of a query with half of that share")
    smoothing_steps: int = Field(3, ge=0, description="how far a neighbour's word reaches")


class CallParams(Parameters):
    """How probabilities become calls."""

    unassigned_below: float = Field(
        0.5, ge=0, le=1, description="cells with a lower confidence are marked as unassigned"
    )
    coverage: float = Field(
        0.9,
        ge=0,
        lt=1,
        description="share of cells whose set of types is to hold the true one, like those it was fitted to",
    )
    farthest_share: float = Field(
        0.99,
        gt=0,
        le=1,
        description="of a consensus: share of the reference's own cells, called without having been seen, "
        "beyond whose distance a cell is marked as unassigned",
    )
    calibrate: bool = Field(
        True,
        description="whether a temperature for the probabilities is fitted to the validation cells, and "
        "applied if it helps them by cross-fitting",
    )
    most_calibration_error: float = Field(
        0.1, gt=0, le=1, description="calibration error above which a warning is given"
    )
    majority_vote: bool = Field(
        False, description="whether the cells of a neighbourhood also vote on a common type"
    )
    majority_resolution: float | None = Field(
        None, gt=0, description="of the Leiden clusters that vote; null: 5 to 30 by number of cells"
    )
    majority_share: float = Field(
        0.0, ge=0, le=1, description="share of a cluster below which its cells keep their own type"
    )


class BaselineParams(Parameters):
    """The baselines."""

    regularisation: tuple[float, ...] = Field(
        (0.01, 0.1, 1.0, 10.0),
        description="inverse strengths C of logistic regression, chosen by cross-validation",
    )
    folds: int = Field(3, ge=2, description="folds of that cross-validation")
    components: int = Field(50, ge=1, description="principal components before the neighbours")
    neighbours: int = Field(15, ge=1, description="neighbours that vote")


class AblationParams(Parameters):
    """Variants of the model to train for comparison."""

    names: tuple[Literal["readout_alone", "pooled_alone", "trunk_alone", "trunk_frozen"], ...] = (
        Field(
            (),
            description="variants trained beside the model, to see what its parts are worth; each takes "
            "about as long as the model: readout_alone, pooled_alone, trunk_alone, trunk_frozen",
        )
    )


class AnnotationParams(Parameters):
    """All parameters of annotation."""

    @model_validator(mode="after")
    def _can_call(self) -> Self:
        if self.head.is_consensus:
            if not self.head.kept_cells:
                raise ValueError(
                    "A consensus calls types from the cells it keeps: set kept_cells above 0"
                )
            if self.backbone.checkpoint is None and set(self.consensus.experts) <= set(OF_BACKBONE):
                raise ValueError(
                    "Choose experts that need no pretrained checkpoint, or give a checkpoint"
                )
        if self.head.keeps == "sums" and (
            self.head.fit != "consensus" or self.backbone.checkpoint is not None
        ):
            raise ValueError(
                "Sums can be kept only with a consensus (fit: consensus) and no checkpoint"
            )
        return self

    labels: LabelParams = LabelParams()
    backbone: BackboneParams = BackboneParams()
    head: HeadParams = HeadParams()
    consensus: ConsensusParams = ConsensusParams()
    fine_tune: FineTuneParams = FineTuneParams()
    predict: PredictParams = PredictParams()
    launch: BlockLaunchParams = BlockLaunchParams()
    calls: CallParams = CallParams()
    baselines: BaselineParams = BaselineParams()
    ablations: AblationParams = AblationParams()


def unused_by(fit: str, given: Iterable[str]) -> list[str]:
    """Return which of the given parameters (dotted names) a fit does not use."""
    if fit in ("gradient", "network"):
        return []
    groups = OF_NETWORK if fit == "consensus" else ("annotation.fine_tune",)
    return [name for name in given if name.startswith(groups)]


def unused_words(fit: str, unused: Iterable[str]) -> str:
    """Word the message that parameters are unused."""
    return (
        f"{', '.join(unused)}: not used by annotation.head.fit={fit}, which trains no network; "
        "--fit gradient trains one"
    )
