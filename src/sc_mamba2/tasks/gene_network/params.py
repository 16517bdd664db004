"""Parameters of gene networks."""

from typing import Literal

from pydantic import Field

from sc_mamba2.tasks.shared.parameters import Parameters
from sc_mamba2.tasks.shared.params import PredictParams

Method = Literal["consensus", "correlation", "boosting", "cosine", "knock_out"]


class ReferenceParams(Parameters):
    """Known edges that the scores are evaluated against."""

    reference_network: str | None = Field(
        None,
        description="CSV, TSV or Parquet file with the columns source (or tf), target and optionally "
        "confidence; null: no evaluation",
    )
    levels: tuple[str, ...] = Field(
        ("A", "B", "C"), description="confidence values that count as known edges"
    )


class GeneParams(Parameters):
    """The candidate regulators and targets."""

    regulators: str | None = Field(
        None,
        description="comma-separated names, or a file with one per line; null: the expressed "
        "transcription factors",
    )
    most_regulators: int = Field(
        100,
        ge=1,
        description="maximum number of regulators chosen if none are named, those in most cells first",
    )
    targets: int = Field(
        1000, ge=2, description="maximum number of targets: the most variable genes"
    )
    expressed_share: float = Field(
        0.03, ge=0, le=1, description="minimum fraction of cells that express a gene, 0 to 1"
    )


class ScoreParams(PredictParams):
    """The model, the cells, and the method that scores the pairs."""

    checkpoint: str = Field(
        "scm-counts", description="pretrained model: a shipped checkpoint's name, or a folder"
    )
    cells: int = Field(10_000, ge=10, description="maximum number of cells, sampled at random")
    knock_outs: bool = Field(
        True, description="whether to knock out regulators in silico; most of a run's time"
    )
    cells_a_regulator: int = Field(
        10, ge=3, description="maximum number of cells in which to knock out each regulator"
    )
    method: Method = Field(
        "consensus",
        description="score that ranks the edges; consensus: mean of all but boosting",
    )

    @property
    def takes_away(self) -> bool:
        """Whether knock-outs are computed: on request, or because edges are ranked by them."""
        return self.knock_outs or self.method == "knock_out"


class BaselineParams(Parameters):
    """Baselines and ablations."""

    untrained: bool = Field(
        False, description="whether to score the same model with random weights too"
    )
    rounds: int = Field(300, ge=1, description="rounds of stump boosting")
    rate: float = Field(0.1, gt=0, le=1, description="learning rate of stump boosting")
    boosting: bool = Field(
        False, description="whether to also regress targets on regulators with boosted trees; slow"
    )
    trees: int = Field(50, ge=1, description="boosted trees per target")


class NetworkParams(Parameters):
    """The table and graph made from the scores."""

    edges: int = Field(5000, ge=1, description="maximum number of edges to write, best first")
    drawn: int = Field(
        150, ge=1, description="maximum number of edges in the graph, its modules and its figure"
    )
    resolution: float = Field(1.0, gt=0, description="resolution of Leiden; higher: more modules")


class GeneNetworkParams(Parameters):
    """All parameters of gene networks."""

    reference: ReferenceParams = ReferenceParams()
    genes: GeneParams = GeneParams()
    scoring: ScoreParams = ScoreParams()
    baselines: BaselineParams = BaselineParams()
    network: NetworkParams = NetworkParams()
