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
        description="CSV, TSV or Parquet file with the columns source (or tf), target and, if there "
        "is one, confidence; null: no evaluation",
    )
    levels: tuple[str, ...] = Field(
        ("A", "B", "C"), description="values of confidence that count as known edges"
    )


class GeneParams(Parameters):
    """The candidate regulators and targets."""

    regulators: str | None = Field(
        None,
        description="names by commas, or a file with a name a line; null: the expressed "
        "transcription factors",
    )
    most_regulators: int = Field(
        100, ge=1, description="regulators that are chosen at most, those in most cells first"
    )
    targets: int = Field(1000, ge=2, description="targets at most: the most variable genes")
    expressed_share: float = Field(
        0.03, ge=0, le=1, description="least share of the cells that express a gene, 0 to 1"
    )


class ScoreParams(PredictParams):
    """The model, the cells, and the method that scores the pairs."""

    checkpoint: str = Field(
        "scm-counts", description="name of a shipped checkpoint, or a folder, of a pretrained model"
    )
    cells: int = Field(10_000, ge=10, description="cells at most, drawn by chance")
    knock_outs: bool = Field(
        True, description="whether regulators are taken from cells; most of a run's time"
    )
    cells_a_regulator: int = Field(
        10, ge=3, description="cells, at most, that a regulator is taken from"
    )
    method: Method = Field(
        "consensus",
        description="which score orders the edges; consensus: of all but boosting",
    )

    @property
    def takes_away(self) -> bool:
        """Whether knock-outs are computed: on request, or because edges are ranked by them."""
        return self.knock_outs or self.method == "knock_out"


class BaselineParams(Parameters):
    """Baselines and ablations."""

    untrained: bool = Field(
        False, description="whether the same model with random weights is scored too"
    )
    rounds: int = Field(300, ge=1, description="rounds of boosting with stumps")
    rate: float = Field(0.1, gt=0, le=1, description="share of a stump's fit that a round takes")
    boosting: bool = Field(
        False, description="whether the targets are regressed on the regulators by trees too, slow"
    )
    trees: int = Field(50, ge=1, description="trees a target")


class NetworkParams(Parameters):
    """The table and graph made from the scores."""

    edges: int = Field(5000, ge=1, description="edges that are written at most, best first")
    drawn: int = Field(150, ge=1, description="edges of the graph, its modules and its picture")
    resolution: float = Field(1.0, gt=0, description="of Leiden; the higher, the more modules")


class GeneNetworkParams(Parameters):
    """All parameters of gene networks."""

    reference: ReferenceParams = ReferenceParams()
    genes: GeneParams = GeneParams()
    scoring: ScoreParams = ScoreParams()
    baselines: BaselineParams = BaselineParams()
    network: NetworkParams = NetworkParams()
