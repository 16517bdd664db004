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
    control: str = Field("control", description="label of unperturbed cells in that column")
    context_key: str | None = Field(
        None,
        description="column of obs with cell types, cell lines or batches, within which perturbed cells "
        "are compared with controls; null: a single context",
    )
    dose_key: str | None = Field(
        None, description="column of obs with the doses of perturbed cells, in one unit"
    )
    time_key: str | None = Field(
        None,
        description="column of obs with times; cells are compared with controls of the same time",
    )
    kind: Kind = Field(
        "knockout", description="how genes were perturbed; chemical: names are compounds"
    )
    join_guides: bool = Field(
        True, description="whether to pool the guides of one gene (A_g1, sgA-2)"
    )
    joined_by: str | None = Field(
        None,
        description="separator of combinations, empty: there are none; null: + | ; , & / : or _ if every "
        "part is a name in the file, a gene or the control",
    )
    fewest_cells: int = Field(
        5, ge=2, description="perturbations with fewer cells are left out, with a remark"
    )
    features: str | None = Field(
        "scm-tiny",
        description="checkpoint whose gene embeddings describe perturbed genes; null: none",
    )
    pathways: bool = Field(True, description="whether gene similarity also uses Reactome pathways")
    feature_file: str | None = Field(
        None, description="CSV with one row of numbers per perturbation, used instead of `features`"
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
        "unseen_perturbation", description="what is new in held-out cells; random_cells: nothing"
    )
    held_out: tuple[str, ...] = Field(
        (), description="perturbations or contexts to hold out; empty: drawn at random"
    )
    key: str | None = Field(
        None, description="column of obs with 'train' and 'test', instead of a random split"
    )
    test_share: float = Field(
        0.2, gt=0, lt=1, description="share of perturbations, contexts or cells to hold out"
    )
    control_share: float = Field(
        0.5,
        gt=0,
        lt=1,
        description="share of each context's controls that predictions are scored against; they start "
        "from the others",
    )
    most_cells: int | None = Field(
        None, ge=2, description="maximum number of training cells per perturbation; null: all"
    )
    validation_share: float = Field(
        0.2,
        gt=0,
        lt=1,
        description="share of the training perturbations, or contexts, for early stopping and the test at "
        "`gate_level`",
    )


class StartParams(Parameters):
    """The simple estimate that the model starts from; its shares are fitted by leave-out."""

    pathway_temperature: float = Field(
        0.1, gt=0, description="increase in pathway similarity that raises the weight e-fold"
    )
    pathway_evidence: float = Field(
        0.1,
        ge=0,
        description="damping of similarity for genes in few or large pathways; 0.1 halves it for a single "
        "shared set of 10",
    )
    feature_temperature: float = Field(
        0.4, gt=0, description="increase in feature cosine that raises the weight e-fold"
    )
    least_pathways: float = Field(
        0.02,
        ge=0,
        description="pathway similarity below which similarity is not used, unless `least_features` is "
        "reached",
    )
    least_features: float = Field(
        0.5,
        ge=-1,
        description="feature cosine below which similarity is not used, unless `least_pathways` is "
        "reached",
    )
    stacking_strength: float = Field(
        1.0,
        gt=0,
        description="pull of the fitted shares towards equal ones (contexts: the mean alone), in left-out "
        "effects",
    )
    context_temperatures: tuple[float, ...] = Field(
        (0.2, 0.4),
        description="increases in the cosine of two contexts' control means that raise the weight e-fold; "
        "one weighting each, stacked with the plain mean",
    )
    dose_temperature: float = Field(
        0.5, gt=0, description="log10 dose ratio at which a measurement's weight falls to 1/e"
    )
    profile_genes: int = Field(
        2000,
        ge=1,
        description="genes that vary most between contexts, used to compare them",
    )


class HeadParams(Parameters):
    """The head: maps a control cell and a perturbation to the change of every gene."""

    paths: Annotated[tuple[Branch, ...], EachOnce] = Field(
        ("start", "trunk"),
        min_length=1,
        description="start: the simple estimate; trunk: what the Mamba2 layers add to it",
    )
    width: int = Field(
        32, ge=1, le=4096, description="hidden width between the Mamba2 layers and the genes"
    )
    gate_level: float = Field(
        0.05,
        gt=0,
        lt=1,
        description="significance level for keeping the Mamba2 layers by their gain on validation "
        "perturbations",
    )
    most_scale: float = Field(
        2.0,
        ge=1,
        description="maximum factor that scales an upregulated gene's values; the rest of the increase is "
        "added",
    )
    rising_shares: tuple[Annotated[float, Field(ge=0, le=1)], ...] = Field(
        (0.0, 0.25, 0.5, 0.75, 1.0),
        min_length=1,
        description="candidate shares of an increase applied as scaling, 0 to 1, chosen by the spread of "
        "the training cells",
    )
    pairs: int = Field(
        16,
        ge=1,
        description="maximum number of control cells per training perturbation and context",
    )


class PerturbationFitParams(FineTuneParams):
    """Training parameters with this task's defaults."""

    learning_rate: float = Field(1e-3, gt=0, le=1, description="peak learning rate of AdamW")
    batch_size: int = Field(64, ge=2, le=65536, description="cells per step")
    max_epochs: int = Field(8, ge=1, description="maximum number of epochs")
    patience: int = Field(
        2, ge=1, description="epochs without a lower validation loss before training stops"
    )
    gene_dropout: float = Field(
        0.0, ge=0, lt=1, description="share of a cell's genes dropped at random in each epoch"
    )


class PopulationParams(Parameters):
    """The predicted cells."""

    perturbation: str | None = Field(
        None,
        description="perturbation to predict, a combination as A+B; null: the first held out (with a "
        "checkpoint: measured)",
    )
    cells: int = Field(
        200,
        ge=1,
        description="maximum number of control cells per held-out perturbation and context",
    )
    ensemble: int = Field(
        20, ge=2, description="number of resamples of the training effects for the spread"
    )


class ScoreParams(Parameters):
    """How predictions are scored."""

    names: tuple[str, ...] = Field(
        (), description="held-out perturbations (or contexts) in the mean score; empty: all"
    )
    least_ceiling: float = Field(
        0.3,
        ge=-1,
        le=1,
        description="noise ceiling below which there is no effect to predict; the mean over the others is "
        "also reported",
    )
    de_genes: int = Field(20, ge=1, description="top differentially expressed genes, by Welch's t")
    fewest_cells: int = Field(3, ge=1, description="genes expressed in fewer cells are not scored")
    ceiling_repeats: int = Field(10, ge=1, description="random split-halves for the noise ceiling")
    components: int = Field(
        10, ge=1, description="principal components of genes in the ridge baseline"
    )
    ridge: float = Field(0.1, gt=0, description="penalty of the ridge baseline")


class AblationParams(Parameters):
    """Variants of the model to train for comparison."""

    names: tuple[Variant, ...] = Field(
        (),
        description="variants to train in addition: start_alone, trunk_alone, trunk_frozen, "
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
