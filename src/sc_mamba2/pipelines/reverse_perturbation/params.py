"""Parameters that are particular to reverse perturbation."""

from typing import Literal

from pydantic import Field

from sc_mamba2.pipelines.parameters import Parameters

Method = Literal["cosine", "distance", "retrieval", "head"]


class StateParams(Parameters):
    """Which cells are the start, and which the goal."""

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
    """How they are ranked."""

    method: Method | None = Field(
        None, description="null: the one that ranks resampled training effects best"
    )
    cells: int = Field(20, ge=2, description="source cells that a candidate is predicted from")
    neighbours: int = Field(15, ge=1, description="predicted cells near a target cell that vote")
    components: int = Field(30, ge=1, description="principal components in which they are near")
    queries: int = Field(
        60, ge=2, description="resampled training effects that fit the head, and that judge it"
    )
    noise: float = Field(
        2.0,
        gt=0,
        description="size of their resampling, in standard errors of query and training together",
    )
    weakest: float = Field(
        0.3, ge=0, le=1, description="least strength of a resampled effect; the most is 1"
    )
    genes: int = Field(5, ge=1, description="genes that are named as what drives a candidate")
