"""Retrieval by neighbours: the candidates of the cells nearest to some target cells.

Legend: N target cells, M labelled cells, C candidates, G genes, R components.
"""

import numpy as np
from sklearn.decomposition import TruncatedSVD
from sklearn.neighbors import NearestNeighbors


class NeighbourVotes:
    """Search index over the cells of all candidates.

    Parameters
    ----------
    cells_MG
        The cells.
    candidate_M
        Index of each cell's candidate.
    candidates
        C.
    neighbours
        Cells that vote for each target cell.
    components
        R principal components of `cells_MG`, in which neighbours are searched.
    exact
        Most cells for an exact search.
    seed
        Seed of the components, and of the approximate index for more than `exact` cells.
    """

    def __init__(
        self,
        cells_MG: np.ndarray,
        candidate_M: np.ndarray,
        candidates: int,
        neighbours: int,
        components: int,
        exact: int,
        seed: int,
    ) -> None:
        self.candidate_M, self.candidates = candidate_M, candidates
        self.mean_G = cells_MG.mean(axis=0)
        count = max(1, min(components, min(cells_MG.shape) - 1))
        self.axes = TruncatedSVD(count, random_state=seed).fit(cells_MG - self.mean_G)
        places_MR = self.axes.transform(cells_MG - self.mean_G).astype(np.float32)
        self.count = min(neighbours, len(places_MR))
        self.exact = len(places_MR) <= exact
        if self.exact:
            self.index = NearestNeighbors(algorithm="brute").fit(places_MR)
        else:
            from pynndescent import NNDescent  # compiles at import, so only if needed

            self.index = NNDescent(places_MR, n_neighbors=self.count, random_state=seed)

    def shares(self, target_NG: np.ndarray) -> np.ndarray:
        """Return the share of each candidate among the target cells' neighbours, (C,)."""
        places_NR = self.axes.transform(target_NG - self.mean_G).astype(np.float32)
        near_NK = (
            self.index.kneighbors(places_NR, self.count, return_distance=False)
            if self.exact
            else self.index.query(places_NR, k=self.count)[0]
        )
        votes_C = np.bincount(self.candidate_M[near_NK].ravel(), minlength=self.candidates)
        return np.asarray(votes_C / votes_C.sum())
