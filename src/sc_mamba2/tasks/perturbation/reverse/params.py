"""Parameters of reverse perturbation."""

from typing import Literal

from pydantic import Field, model_validator

from sc_mamba2.tasks.shared.parameters import Parameters

Method = Literal["cosine", "distance", "retrieval", "head"]


class StateParams(Parameters):
    """Source and target cells."""

    state_key: str = Field("perturbation", description="column of obs with cell states")
    source: str = Field("control", description="state of the source cells")
    target: str | None = Field(None, description="state of the target cells")


class CandidateParams(Parameters):
    """Which perturbations are ranked."""

    candidates: str = Field(
        "all",
        description="all: those the checkpoint was trained on; or a text file with one name per line",
    )
    pairs: bool = Field(False, description="whether to rank all pairs of single candidates too")
    most: int = Field(100_000, ge=2, description="maximum number of candidates")


class RankParams(Parameters):
    """How perturbations are ranked."""

    method: Method | None = Field(
        None, description="null: the one that ranks simulated queries best; see `worlds`"
    )
    cells: int = Field(
        20, ge=2, description="maximum number of source cells to predict a candidate from"
    )
    neighbours: int = Field(
        15, ge=1, description="nearest predicted cells that vote for each target cell"
    )
    components: int = Field(30, ge=1, description="principal components for the neighbour search")
    exact_cells: int = Field(
        100_000, ge=1, description="predicted cells above which the neighbour search is approximate"
    )
    queries: int = Field(
        200,
        ge=4,
        description="simulated queries to fit the head, as many to choose the method, and as many to "
        "check its calibration",
    )
    worlds: int = Field(4, ge=1, description="simulated trainings for each of these three")
    noise: float = Field(
        2.0,
        gt=0,
        description="noise of simulated queries, in standard errors of the real one; other cells differ "
        "by more than sampling error",
    )
    weakest: float = Field(0.3, ge=0, description="minimum factor on a simulated query's effect")
    strongest: float = Field(1.0, gt=0, description="maximum factor on a simulated query's effect")
    searched: int = Field(
        40, ge=1, description="simulated queries on which retrieval is judged; it is slow"
    )
    target_cells: int = Field(
        30, ge=1, description="target cells of a simulated query for retrieval"
    )
    decay: float = Field(0.01, ge=0, description="L2 penalty of the head")
    own_gene_most: float = Field(
        5.0, gt=0, description="clipping limit of the own gene's change, in standard errors"
    )
    genes: int = Field(5, ge=1, description="maximum number of driver genes named per candidate")

    @model_validator(mode="after")
    def _ordered(self) -> "RankParams":
        if self.strongest < self.weakest:
            raise ValueError("strongest is below weakest")
        return self


class KnownParams(Parameters):
    """How the ranking is scored on states of the file that are themselves candidates."""

    states: int = Field(
        50, ge=0, description="maximum number of states to score, drawn at random; 0: none"
    )
    first: tuple[int, ...] = Field(
        (1, 3, 8), description="values of k for hits@k (right candidate among the first k)"
    )


class ReversePerturbationParams(Parameters):
    """All parameters of reverse perturbation."""

    states: StateParams = StateParams()
    candidates: CandidateParams = CandidateParams()
    rank: RankParams = RankParams()
    known: KnownParams = KnownParams()
