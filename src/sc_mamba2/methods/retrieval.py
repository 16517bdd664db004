"""Retrieval by neighbours: of which candidate are the cells that lie around some target cells.

Legend: N target cells, M labelled cells, C candidates, G genes, R components.
"""

import numpy as np
from pynndescent import NNDescent
from sklearn.decomposition import TruncatedSVD
from sklearn.neighbors import NearestNeighbors


class NeighbourVotes:
    """Cells of all candidates, ready to be searched.

    Parameters
    ----------
    cells_MG
        The cells.
    candidate_M
        Which candidate each is of.
    candidates
        C.
    components
        R; cells are near in the first principal components of `cells_MG`.
    exact
        Cells up to which every one is compared.
    seed
        Seed of the components, and of an approximate index beyond `exact` cells.
    """

    def __init__(
        self,
        cells_MG: np.ndarray,
        candidate_M: np.ndarray,
        candidates: int,
        components: int,
        exact: int,
        seed: int,
    ) -> None:
        self.candidate_M, self.candidates = candidate_M, candidates
        self.exact, self.seed = exact, seed
        self.mean_G = cells_MG.mean(axis=0)
        count = max(1, min(components, min(cells_MG.shape) - 1))
        self.axes = TruncatedSVD(count, random_state=seed).fit(cells_MG - self.mean_G)
        self.places_MR = self.axes.transform(cells_MG - self.mean_G).astype(np.float32)

    def shares(self, target_NG: np.ndarray, neighbours: int) -> np.ndarray:
        """Return the share of the target cells' nearest cells by candidate, (C,)."""
        places_NR = self.axes.transform(target_NG - self.mean_G).astype(np.float32)
        count = min(neighbours, len(self.places_MR))
        if len(self.places_MR) <= self.exact:
            index = NearestNeighbors(n_neighbors=count, algorithm="brute").fit(self.places_MR)
            near_NK = index.kneighbors(places_NR, return_distance=False)
        else:
            approximate = NNDescent(self.places_MR, n_neighbors=count, random_state=self.seed)
            near_NK, _ = approximate.query(places_NR, k=count)
        votes_C = np.bincount(self.candidate_M[near_NK].ravel(), minlength=self.candidates)
        return np.asarray(votes_C / votes_C.sum())
