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
        description="column of the reference's obs with studies, donors or batches, held out whole to weight the "
        "experts; null: the first usable of study, dataset, batch, donor and sample",
    )
    query_key: str | None = Field(
        None,
        description="column of the query with its own labels, for scoring; null: same as key",
    )
    rollup: str | None = Field(
        None,
        description="file that maps each type to a broad type, JSON or two-column CSV; null: the checkpoint's "
        "mapping, if any",
    )
    test_share: float = Field(
        0.2, gt=0, lt=1, description="share of the reference held out if there is no query"
    )
    validation_share: float = Field(
        0.15, gt=0, le=0.5, description="share of the training cells held out to choose the epoch"
    )


class HeadParams(Parameters):
    """The classifier: its paths, whose logits are summed, and how it is fitted."""

    paths: Annotated[tuple[Branch, ...], EachOnce] = Field(
        ("trunk", "pooled", "readout"),
        min_length=1,
        description="trunk: Mamba2 layers; pooled: value-weighted sum of gene embeddings; readout: linear in the "
        "log-normalised values",
    )
    fit: Literal["consensus", "gradient", "network", "linear", "prototypes"] = Field(
        "consensus",
        description="consensus: several directly fitted methods, weighted by the query's structure and by "
        "held-out reference cells (`annotation.consensus`); gradient: the same plus a network, whose head and "
        "backbone are trained by gradient descent; the other three use one network alone; network: that of "
        "gradient; linear: frozen backbone, the head is one logistic regression, for few labels; prototypes: "
        "frozen backbone, nearest class mean for trunk and pooled, logistic regression for the readout, for a "
        "query from another study",
    )
    embedding_variance: float = Field(
        1.0,
        gt=0,
        description="linear head: variance of trunk and pooled, each, relative to the genes",
    )
    regularisation: tuple[float, ...] = Field(
        (0.01, 0.1, 1.0, 10.0),
        min_length=1,
        description="directly fitted head: inverse penalties C, chosen by cross-validation",
    )
    folds: int = Field(3, ge=2, description="directly fitted head: folds of that cross-validation")
    kept_cells: int = Field(
        5000,
        ge=0,
        description="maximum labelled cells stored with the model: a consensus is fitted to them for each query, "
        "a network's head is refitted to them if a query lacks genes",
    )
    keeps: Literal["cells", "sums"] = Field(
        "cells",
        description="what a consensus stores: these cells, or sums over ten or more similar ones, from which it "
        "draws cells, so that the folder can be shared where cells cannot",
    )
    refit_below: float = Field(
        0.98,
        ge=0,
        le=1,
        description="share of the model's weight on the query's genes below which the head is refitted",
    )
    dropout: float = Field(0.2, ge=0, lt=1, description="dropout before the classifiers")
    class_weight_power: float = Field(
        0.5,
        ge=0,
        le=1,
        description="class weight: (1 / number of cells) to this power; 0: all equal",
    )
    label_smoothing: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="share of a training cell's label spread over all classes; the epoch is chosen by the loss "
        "without it",
    )
    readout_rate_factor: float = Field(
        1.0, gt=0, description="learning rate of the readout relative to the rest"
    )
    readout_weight_decay: float = Field(1.0, ge=0, description="weight decay of the readout")

    @property
    def is_consensus(self) -> bool:
        """Whether cells are called by several experts, not by one network."""
        return self.fit in ("consensus", "gradient")


OF_BACKBONE: tuple[Expert, ...] = ("pooled", "trunk", "trunk_regression")
FINE_TUNED = "fine_tuned"  # the expert trained by gradient descent
# Parameters used only by a network.
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
        description="methods to combine; only with a pretrained checkpoint: trunk_regression (logistic regression "
        "on all genes and the state of its Mamba2 layers) and, if named here, pooled and trunk (nearest class "
        "mean in its sum of gene embeddings, and in that state)",
    )
    few_labels: float = Field(
        50.0,
        ge=0,
        description="mean labelled cells per type up to which the default, without a checkpoint, starts from "
        "few_labels_start; 0: never",
    )
    few_labels_start: str = Field(
        "scm-counts", description="checkpoint to start from with few labels"
    )
    few_labels_share: float = Field(
        0.02,
        ge=0,
        le=1,
        description="minimum share of that checkpoint's weight on genes that both files have; below it, it is not "
        "used",
    )
    regression_strength: float = Field(
        500.0,
        gt=0,
        description="logistic regression: inverse penalty relative to the mean log loss, that is, C times the "
        "number of reference cells",
    )
    balanced_regression_strength: float = Field(
        50.0, gt=0, description="as regression_strength, with types weighted equally"
    )
    trunk_regression_strength: float = Field(
        500.0, gt=0, description="as regression_strength, for trunk_regression"
    )
    trunk_variance: float = Field(
        0.1, gt=0, description="trunk_regression: variance of the state relative to the genes"
    )
    components: int = Field(50, ge=1, description="principal components for nearest neighbours")
    neighbours: int = Field(15, ge=1, description="nearest neighbours that vote")
    markers: int = Field(100, ge=1, description="marker genes per type whose ranks are compared")
    depth_ratio: float = Field(
        1.25,
        ge=1,
        description="ratio of median molecules per cell above which the deeper file is downsampled to the other",
    )
    least_molecules: float = Field(
        1000, ge=0, description="lowest median molecules per cell to downsample to"
    )
    shift: float = Field(
        1.0,
        ge=0,
        le=1,
        description="share to remove of what shifts all types of the query alike (chemistry, laboratory), as far "
        "as query and reference can be told apart",
    )
    shift_cells: int = Field(
        25,
        ge=0,
        description="reference cells per type, on average, up to which nothing is shifted: their means are noise",
    )
    resolutions: tuple[float, ...] = Field(
        (1.0, 2.0, 3.0),
        description="resolutions of the query's Leiden clusters that weight the experts",
    )
    fewest_cells: int = Field(
        30, ge=2, description="minimum query cells; with fewer, its structure is not used"
    )
    structure_scale: float = Field(
        0.015,
        gt=0,
        description="gain in mutual information with the clusters that raises a mixture's weight e-fold",
    )
    left_out_scale: float = Field(
        0.03,
        gt=0,
        description="gain in accuracy on held-out batches that raises a mixture's weight e-fold",
    )
    folds: int = Field(
        3,
        ge=2,
        description="folds of the reference held out in turn: whole batches, and random cells",
    )
    alike_scale: float = Field(
        0.0015,
        gt=0,
        description="as left_out_scale, on random held-out cells, for a query like the reference",
    )
    left_out_cells: int = Field(
        1500, ge=10, description="maximum number of labelled cells in those folds"
    )
    shared_error_power: float = Field(
        4.0,
        ge=0,
        description="power of kappa between experts' calls; higher: agreement lowers weights less",
    )
    mixtures: int = Field(200, ge=1, description="random mixtures of experts to try")
    smoothing: float = Field(
        0.8,
        ge=0,
        lt=1,
        description="limit of the neighbours' share in a cell's probabilities, for large queries unlike the "
        "reference",
    )
    smoothing_cells: int = Field(
        1000, ge=1, description="query size, in cells, at which half of that share is used"
    )
    smoothing_steps: int = Field(
        3, ge=0, description="smoothing iterations over the neighbour graph"
    )


class CallParams(Parameters):
    """How probabilities become calls."""

    unassigned_below: float = Field(
        0.5, ge=0, le=1, description="confidence below which a cell is marked as unassigned"
    )
    coverage: float = Field(
        0.9,
        ge=0,
        lt=1,
        description="target share of cells whose set of types contains the true one, for cells like the "
        "calibration cells",
    )
    farthest_share: float = Field(
        0.99,
        gt=0,
        le=1,
        description="consensus: quantile of the distances of held-out reference cells beyond which a cell is "
        "marked as unassigned",
    )
    calibrate: bool = Field(
        True,
        description="whether to fit a temperature and the sets of types to held-out cells; the temperature is "
        "applied only if cross-fitting favours it",
    )
    most_calibration_error: float = Field(
        0.1,
        gt=0,
        le=1,
        description="calibration error, or shortfall in coverage, above which a warning is given",
    )
    majority_vote: bool = Field(
        False, description="whether cells also get the majority type of their neighbourhood"
    )
    majority_resolution: float | None = Field(
        None,
        gt=0,
        description="resolution of the Leiden clusters that vote; null: 5 to 30 by number of cells",
    )
    majority_share: float = Field(
        0.0, ge=0, le=1, description="share of a cluster below which its cells keep their own type"
    )


class BaselineParams(Parameters):
    """Baseline classifiers."""

    regularisation: tuple[float, ...] = Field(
        (0.01, 0.1, 1.0, 10.0),
        description="inverse penalties C of logistic regression, chosen by cross-validation",
    )
    folds: int = Field(3, ge=2, description="folds of that cross-validation")
    components: int = Field(50, ge=1, description="principal components for nearest neighbours")
    neighbours: int = Field(15, ge=1, description="nearest neighbours that vote")


class AblationParams(Parameters):
    """Variants of the model, trained for comparison."""

    names: tuple[Literal["readout_alone", "pooled_alone", "trunk_alone", "trunk_frozen"], ...] = (
        Field(
            (),
            description="variants to train for comparison, to see what each part contributes; each takes about as "
            "long as the model: readout_alone, pooled_alone, trunk_alone, trunk_frozen",
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
    """Return those of the given parameters (dotted names) that a fit does not use."""
    if fit in ("gradient", "network"):
        return []
    groups = OF_NETWORK if fit == "consensus" else ("annotation.fine_tune",)
    return [name for name in given if name.startswith(groups)]


def unused_words(fit: str, unused: Iterable[str]) -> str:
    """Return the message that parameters are unused."""
    return (
        f"{', '.join(unused)}: not used by annotation.head.fit={fit}, which trains no network; "
        "--fit gradient trains one"
    )
