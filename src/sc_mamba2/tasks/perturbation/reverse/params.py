"""Parameters of reverse perturbation."""

from typing import Literal

from pydantic import Field, model_validator

from sc_mamba2.tasks.shared.parameters import Parameters

Method = Literal["cosine", "distance", "retrieval", "head"]


class StateParams(Parameters):
    """Source and target cells."""

    state_key: str = Field("perturbation", description="column of obs with the states of cells")
    source: str = Field("control", description="state of the cells to begin with")
    target: str | None = Field(None, description="state of the cells to reach")


class CandidateParams(Parameters):
    """Which perturbations are ranked."""

    candidates: str = Field(
        "all",
        description="all: those that the checkpoint was trained with; or a file, a name a line",
    )
    pairs: bool = Field(False, description="whether every pair of single candidates is ranked too")
    most: int = Field(100_000, ge=2, description="candidates at most")


class RankParams(Parameters):
    """How perturbations are ranked."""

    method: Method | None = Field(
        None, description="null: the one that ranks simulated queries best; see `worlds`"
    )
    cells: int = Field(20, ge=2, description="source cells that a candidate is predicted from")
    neighbours: int = Field(15, ge=1, description="predicted cells near a target cell that vote")
    components: int = Field(30, ge=1, description="principal components in which they are near")
    exact_cells: int = Field(
        100_000, ge=1, description="predicted cells beyond which an approximate index is searched"
    )
    queries: int = Field(
        200,
        ge=4,
        description="simulated queries that fit the head, as many that choose the method, and as many "
        "that say how far its probability is true",
    )
    worlds: int = Field(
        4, ge=1, description="times that the training is simulated anew for each of these three"
    )
    noise: float = Field(
        2.0,
        gt=0,
        description="error of a simulated query, in standard errors of the one that is asked: other "
        "cells differ in more than the draw of cells",
    )
    weakest: float = Field(0.3, ge=0, description="least strength of a simulated query's effect")
    strongest: float = Field(1.0, gt=0, description="most strength of a simulated query's effect")
    searched: int = Field(
        40, ge=1, description="simulated queries that retrieval is judged by; it is slow"
    )
    target_cells: int = Field(30, ge=1, description="cells of a simulated query for retrieval")
    decay: float = Field(0.01, ge=0, description="weight decay of the head")
    own_gene_most: float = Field(
        5.0, gt=0, description="standard errors of the own gene's change that count at most"
    )
    genes: int = Field(5, ge=1, description="genes that are named as what drives a candidate")

    @model_validator(mode="after")
    def _ordered(self) -> "RankParams":
        if self.strongest < self.weakest:
            raise ValueError("strongest is below weakest")
        return self


class KnownParams(Parameters):
    """How the ranking is scored on states of the file that are candidates themselves."""

    states: int = Field(
        50, ge=0, description="states that are looked for at most, drawn by chance; 0: none"
    )
    first: tuple[int, ...] = Field(
        (1, 3, 8), description="how many of the first candidates may hold the right one"
    )


class ReversePerturbationParams(Parameters):
    """All parameters of reverse perturbation."""

    states: StateParams = StateParams()
    candidates: CandidateParams = CandidateParams()
    rank: RankParams = RankParams()
    known: KnownParams = KnownParams()
