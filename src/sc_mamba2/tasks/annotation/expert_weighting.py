"""Weights of experts without the query's labels: by the query's structure, and by left-out cells.

Legend: E experts, N query cells, M left-out cells, K classes, D components.
"""

from dataclasses import dataclass, field

import numpy as np
from scipy import sparse
from sklearn.decomposition import PCA

from sc_mamba2.methods.expert_weights import LeftOut, mix, weight_experts
from sc_mamba2.methods.graph_smoothing import smooth_over_graph
from sc_mamba2.metrics.clustering import connectivities, leiden
from sc_mamba2.metrics.neighbours import nearest_neighbours
from sc_mamba2.tasks.annotation.experts import Readings
from sc_mamba2.tasks.annotation.params import ConsensusParams

_COMPONENTS = 30  # principal components of the query for its graph
_NEIGHBOURS = 15
_MIN_WEIGHT = 1e-6
_MAX_JUDGED_CELLS = 20_000  # cells of a query used to judge the experts


@dataclass(frozen=True, eq=False)
class Structure:
    """Structure of a query.

    Attributes
    ----------
    graph_NN
        Neighbour graph; ``None`` if there are too few cells.
    clusterings
        Clusters of the `judged` cells, one clustering a resolution.
    judged
        Cells used to judge the experts.
    """

    graph_NN: sparse.csr_matrix | None = None
    clusterings: list[np.ndarray] = field(default_factory=list)
    judged: np.ndarray | slice = field(default_factory=lambda: slice(None))


def find_structure(query: Readings, params: ConsensusParams, seed: int) -> Structure:
    """Build a query's neighbour graph on principal components, and cluster its cells."""
    cells = query.amounts_NG.shape[0]
    count = min(_COMPONENTS, min(query.amounts_NG.shape) - 1)
    if cells < params.fewest_cells or count < 1:
        return Structure()
    axes = PCA(count, svd_solver="arpack", random_state=seed)
    places_ND = axes.fit_transform(query.log_normalised())
    near = max(3, min(_NEIGHBOURS, cells // 10))
    graph_NN = connectivities(nearest_neighbours(places_ND, near, seed))
    judged: np.ndarray | slice = slice(None)
    own_NN = graph_NN
    if cells > _MAX_JUDGED_CELLS:
        judged = np.sort(np.random.default_rng(seed).permutation(cells)[:_MAX_JUDGED_CELLS])
        own_NN = connectivities(nearest_neighbours(places_ND[judged], near, seed))
    return Structure(graph_NN, [leiden(own_NN, r, seed) for r in params.resolutions], judged)


def smooth(
    probability_NK: np.ndarray, structure: Structure, likeness: float, params: ConsensusParams
) -> np.ndarray:
    """Smooth over neighbours, more for larger queries and for those less like the reference."""
    if structure.graph_NN is None:
        return probability_NK
    cells = len(probability_NK)
    share = (1 - likeness) * params.smoothing * cells / (cells + params.smoothing_cells)
    return smooth_over_graph(probability_NK, structure.graph_NN, share, params.smoothing_steps)


def weights_for_query(
    predicted_ENK: np.ndarray,
    structure: Structure,
    likeness: float,
    left_out: list[LeftOut],
    params: ConsensusParams,
    seed: int,
) -> np.ndarray:
    """Return weights of experts, (E,), by their predictions for the query and for left-out cells.

    The more the query is like the reference (`likeness`, 0 to 1), the less its structure counts.
    """
    return weight_experts(
        predicted_ENK[:, structure.judged],
        structure.clusterings,
        params.structure_scale / max(1 - likeness, _MIN_WEIGHT),
        left_out,
        params.shared_error_power,
        params.mixtures,
        seed,
    )


def alike_scale(likeness: float, params: ConsensusParams) -> float:
    """Return the scale of cells left out without their batch: the finer, the more alike the query is."""
    return params.alike_scale / max(likeness, _MIN_WEIGHT)


def weight_network(
    predicted_ENK: np.ndarray,
    weight_E: np.ndarray,
    structure: Structure,
    likeness: float,
    unlearnt: tuple[np.ndarray, np.ndarray] | None,
    params: ConsensusParams,
    seed: int,
) -> np.ndarray:
    """Return weights (E,) with a network as last expert; the others keep their proportions.

    The network is trained once, not again for every left-out batch, so batches cannot judge it. It is judged
    by the query's structure and by the validation cells (`unlearnt`): they chose its epoch but were not
    trained on, and the other experts predict them from the other cells. They count as far as the query is
    like the reference; for an unlike query the structure alone decides.
    """

    def sides(all_ENK: np.ndarray) -> np.ndarray:
        return np.stack([mix(all_ENK[:-1], weight_E), all_ENK[-1]])

    scale = alike_scale(likeness, params)
    left_out = [] if unlearnt is None else [LeftOut(sides(unlearnt[0]), unlearnt[1], scale)]
    share = weights_for_query(sides(predicted_ENK), structure, likeness, left_out, params, seed)
    return np.append(weight_E * share[0], share[1])
