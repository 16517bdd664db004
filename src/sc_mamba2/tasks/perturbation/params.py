"""Parameters of the perturbation task."""

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from sc_mamba2.tasks.shared.parameters import EachOnce, Parameters
from sc_mamba2.tasks.shared.params import BackboneParams, FineTuneParams, PredictParams

if TYPE_CHECKING:
    from sc_mamba2.cells import NameRules

Kind = Literal["knockout", "crispri", "crispra", "chemical"]
SplitKind = Literal["unseen_perturbation", "unseen_combination", "unseen_context", "random_cells"]
Branch = Literal["start", "trunk"]
Variant = Literal[
    "start_alone", "trunk_alone", "trunk_frozen", "no_perturbation_embedding", "no_own_gene"
]


class KeyParams(Parameters):
    """Columns of obs, and how their names are read."""

    perturbation_key: str = Field("perturbation", description="column of obs with perturbations")
    control: str = Field("control", description="label of the unperturbed cells there")
    context_key: str | None = Field(
        None,
        description="column of obs with cell types, lines or batches, within which perturbed cells "
        "are compared with control cells; null: all cells are of one context",
    )
    dose_key: str | None = Field(
        None, description="column of obs with the dose of each perturbed cell, in one unit"
    )
    time_key: str | None = Field(
        None,
        description="column of obs with times; cells are compared with control cells of their time",
    )
    kind: Kind = Field(
        "knockout", description="what was done to the genes; chemical: names are compounds"
    )
    join_guides: bool = Field(
        True, description="whether the guides of one gene (A_g1, sgA-2) are one perturbation"
    )
    joined_by: str | None = Field(
        None,
        description="sign between the parts of a combination, empty where there are none; null: + | ; , & / : "
        "or _ where every part is a name of the file, a gene or the control",
    )
    fewest_cells: int = Field(
        5, ge=2, description="perturbations with fewer cells are left out, with a remark"
    )
    features: str | None = Field(
        "scm-tiny",
        description="checkpoint whose gene embedding describes perturbed genes; null: none",
    )
    pathways: bool = Field(
        True, description="whether Reactome pathways also define the similarity of genes"
    )
    feature_file: str | None = Field(
        None, description="CSV with one row of numbers per perturbation, instead of `features`"
    )

    @property
    def rules(self) -> "NameRules":
        """How names are read."""
        genes = self.kind != "chemical"
        from sc_mamba2.cells import NameRules  # imports pandas: not needed to reject bad parameters

        return NameRules(self.control, genes, self.join_guides, self.joined_by)


class SplitParams(Parameters):
    """Which cells are held out for scoring."""

    kind: SplitKind = Field(
        "unseen_perturbation", description="what the held-out cells have that no training cell has"
    )
    held_out: tuple[str, ...] = Field(
        (), description="perturbations or contexts to hold out by name; empty: drawn by the seed"
    )
    key: str | None = Field(
        None, description="column of obs with 'train' and 'test', instead of a random split"
    )
    test_share: float = Field(
        0.2, gt=0, lt=1, description="share of perturbations, contexts or cells to draw"
    )
    control_share: float = Field(
        0.5,
        gt=0,
        lt=1,
        description="share of the control cells of a context that predictions are scored against; "
        "they start from the others",
    )
    most_cells: int | None = Field(
        None, ge=2, description="training cells of a perturbation at most; null: all"
    )
    validation_share: float = Field(
        0.2,
        gt=0,
        lt=1,
        description="share of the training perturbations, or contexts, that say what the Mamba2 "
        "layers add",
    )


class StartParams(Parameters):
    """The simple estimate that the model starts from; its shares are fitted by leaving out."""

    pathway_temperature: float = Field(
        0.1, gt=0, description="likeness of pathways by which weight rises e-fold"
    )
    pathway_evidence: float = Field(
        0.1,
        ge=0,
        description="what damps the likeness of genes in few or large pathways: one set of 10 is 0.1",
    )
    feature_temperature: float = Field(
        0.4, gt=0, description="cosine of features by which weight rises e-fold"
    )
    least_pathways: float = Field(
        0.02, ge=0, description="likeness of pathways below which nothing is shared"
    )
    least_features: float = Field(
        0.5, ge=-1, description="cosine of features below which nothing is alike"
    )
    stacking_strength: float = Field(
        1.0,
        gt=0,
        description="how far the ways of weighing keep equal shares, in left-out perturbations",
    )
    context_temperatures: tuple[float, ...] = Field(
        (0.2, 0.4),
        description="how fast weight falls with the cosine of two contexts' control means; each is mixed with "
        "the mean of all by what it earns",
    )
    dose_temperature: float = Field(
        0.5, gt=0, description="factors of ten in dose by which a measurement's weight falls to 1/e"
    )
    profile_genes: int = Field(
        2000,
        ge=1,
        description="genes, those that vary most between contexts, by which these are alike",
    )


class HeadParams(Parameters):
    """The head: from a control cell and a perturbation to the change of every gene."""

    paths: Annotated[tuple[Branch, ...], EachOnce] = Field(
        ("start", "trunk"),
        min_length=1,
        description="start: the simple estimate; trunk: what the Mamba2 layers add to it",
    )
    width: int = Field(32, ge=1, le=4096, description="numbers between the layers and the genes")
    gate_level: float = Field(
        0.05,
        gt=0,
        lt=1,
        description="p below which the layers' gain on perturbations kept apart is more than chance",
    )
    most_scale: float = Field(
        2.0,
        ge=1,
        description="factor by which the values of a gene that rises are scaled at most; the rest of the "
        "rise is added",
    )
    rising_shares: tuple[Annotated[float, Field(ge=0, le=1)], ...] = Field(
        (0.0, 0.25, 0.5, 0.75, 1.0),
        min_length=1,
        description="candidates: share of a rise that is scaling, 0 to 1; the spread of the training "
        "cells chooses",
    )
    pairs: int = Field(
        16, ge=1, description="control cells that a training perturbation and context is shown with"
    )


class PerturbationFitParams(FineTuneParams):
    """Training parameters with this task's defaults."""

    learning_rate: float = Field(1e-3, gt=0, le=1, description="highest rate of AdamW")
    batch_size: int = Field(64, ge=2, le=65536, description="cells a step")
    max_epochs: int = Field(8, ge=1, description="epochs at most")
    patience: int = Field(
        2, ge=1, description="epochs without a better validation loss before the training stops"
    )
    gene_dropout: float = Field(
        0.0, ge=0, lt=1, description="share of a cell's genes that an epoch leaves out by chance"
    )


class PopulationParams(Parameters):
    """The predicted cells."""

    perturbation: str | None = Field(
        None,
        description="perturbation to predict, a combination as A+B; null: the first held out one",
    )
    cells: int = Field(
        200, ge=1, description="control cells a held-out perturbation and context is predicted from"
    )
    ensemble: int = Field(
        20, ge=2, description="resamples of the training effects that give the spread"
    )


class ScoreParams(Parameters):
    """How predictions are scored."""

    names: tuple[str, ...] = Field(
        (), description="held-out perturbations (or contexts) that the mean score is of; empty: all"
    )
    least_ceiling: float = Field(
        0.3,
        ge=-1,
        le=1,
        description="noise ceiling under which there is no effect to predict; the mean of the others is "
        "shown beside that of all",
    )
    de_genes: int = Field(20, ge=1, description="genes that differ most, by Welch's t")
    fewest_cells: int = Field(3, ge=1, description="genes of fewer cells are not scored")
    ceiling_repeats: int = Field(10, ge=1, description="random halves behind the noise ceiling")
    components: int = Field(
        10, ge=1, description="principal components of the genes, of the ridge baseline"
    )
    ridge: float = Field(0.1, gt=0, description="strength of the ridge baseline")


class AblationParams(Parameters):
    """Variants of the model to train for comparison."""

    names: tuple[Variant, ...] = Field(
        (),
        description="variants to train beside the model: start_alone, trunk_alone, trunk_frozen, "
        "no_perturbation_embedding, no_own_gene",
    )


class PerturbationParams(Parameters):
    """All parameters of the perturbation task."""

    keys: KeyParams = KeyParams()
    split: SplitParams = SplitParams()
    backbone: BackboneParams = BackboneParams()
    start: StartParams = StartParams()
    head: HeadParams = HeadParams()
    fine_tune: PerturbationFitParams = PerturbationFitParams()
    predict: PredictParams = PredictParams()
    population: PopulationParams = PopulationParams()
    evaluation: ScoreParams = ScoreParams()
    ablations: AblationParams = AblationParams()
