"""How experts are weighed without the query's labels: by its own structure, and by cells that were left out.

Legend: E experts, N query cells, M left-out cells, K classes, D components.
"""

from dataclasses import dataclass, field

import numpy as np
from scipy import sparse
from sklearn.decomposition import PCA

from sc_mamba2.methods.expert_weights import mix, weigh_experts
from sc_mamba2.methods.graph_smoothing import smooth_over_graph
from sc_mamba2.metrics.clustering import connectivities, leiden
from sc_mamba2.metrics.neighbours import nearest_neighbours
from sc_mamba2.tasks.annotation.experts import Readings
from sc_mamba2.tasks.annotation.params import ConsensusParams

_COMPONENTS = 30  # of the query, in which its cells are neighbours
_NEAR = 15
_LEAST_WEIGHT = 1e-6
_MOST_JUDGED = 20_000  # cells of a query that judge the experts
LeftOut = tuple[
    np.ndarray, np.ndarray
]  # answers about cells that experts did not see, (E, M, K); the truth, (M,)


@dataclass(frozen=True, eq=False)
class Structure:
    """What a query says of itself.

    Attributes
    ----------
    graph_NN
        Its graph of neighbours; ``None`` where the cells are too few for one.
    clusterings
        Of the judged cells, one a resolution.
    judged
        Which cells judge the experts.
    """

    graph_NN: sparse.csr_matrix | None = None
    clusterings: list[np.ndarray] = field(default_factory=list)
    judged: np.ndarray | slice = field(default_factory=lambda: slice(None))


def find_structure(query: Readings, params: ConsensusParams, seed: int) -> Structure:
    """Join a query's cells by its principal components, and cluster them."""
    cells = query.amounts_NG.shape[0]
    count = min(_COMPONENTS, min(query.amounts_NG.shape) - 1)
    if cells < params.fewest_cells or count < 1:
        return Structure()
    axes = PCA(count, svd_solver="arpack", random_state=seed)
    places_ND = axes.fit_transform(query.log_normalised())
    near = max(3, min(_NEAR, cells // 10))
    graph_NN = connectivities(nearest_neighbours(places_ND, near, seed))
    judged: np.ndarray | slice = slice(None)
    own_NN = graph_NN
    if cells > _MOST_JUDGED:
        judged = np.sort(np.random.default_rng(seed).permutation(cells)[:_MOST_JUDGED])
        own_NN = connectivities(nearest_neighbours(places_ND[judged], near, seed))
    return Structure(graph_NN, [leiden(own_NN, r, seed) for r in params.resolutions], judged)


def smooth(
    probability_NK: np.ndarray, structure: Structure, alike: float, params: ConsensusParams
) -> np.ndarray:
    """Let neighbours in the query speak, the more the larger it is and the less it is like the reference."""
    if structure.graph_NN is None:
        return probability_NK
    cells = len(probability_NK)
    share = (1 - alike) * params.smoothing * cells / (cells + params.smoothing_cells)
    return smooth_over_graph(probability_NK, structure.graph_NN, share, params.smoothing_steps)


def weigh(
    answers_ENK: np.ndarray,
    structure: Structure,
    alike: float,
    left_out: LeftOut | None,
    by_batch: bool,
    params: ConsensusParams,
    seed: int,
) -> np.ndarray:
    """Weigh experts, (E,), by what they say of the query and of cells that were left out.

    The more the query is like the reference (`alike`, 0 to 1), the more the left-out cells say about it,
    and the less its structure is needed; whole batches that were left out (`by_batch`) always count.
    """
    left_out_scale = params.left_out_scale
    if not by_batch:
        left_out_scale = params.alike_scale / max(alike, _LEAST_WEIGHT)
    return weigh_experts(
        answers_ENK[:, structure.judged],
        structure.clusterings,
        params.structure_scale / max(1 - alike, _LEAST_WEIGHT),
        left_out,
        left_out_scale,
        params.shared_error_power,
        params.mixtures,
        seed,
    )


def weigh_network(
    answers_ENK: np.ndarray,
    weight_E: np.ndarray,
    structure: Structure,
    alike: float,
    unlearnt: LeftOut | None,
    params: ConsensusParams,
    seed: int,
) -> np.ndarray:
    """Give a network, the last of the experts, a share beside the others, whose weights stay in proportion: (E,).

    It is trained once, not again without every batch, so that no whole batch says anything about it. Its
    witnesses are the query's structure, and cells that were set apart when it was trained (`unlearnt`): they
    chose its epoch, but no gradient saw them, and the others call them by the other cells. These are like the
    reference and count as far as the query is; of a query that is unlike it the structure alone decides.
    """

    def sides(all_ENK: np.ndarray) -> np.ndarray:
        return np.stack([mix(all_ENK[:-1], weight_E), all_ENK[-1]])

    left_out = None if unlearnt is None else (sides(unlearnt[0]), unlearnt[1])
    share = weigh(sides(answers_ENK), structure, alike, left_out, False, params, seed)
    return np.append(weight_E * share[0], share[1])
