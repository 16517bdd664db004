import numpy as np
import pandas as pd

from sc_mamba2.methods.majority_vote import majority_vote, over_cluster

CALLED = pd.Series(["a", "a", "b", "b", "c", "d", "d"], index=list("tuvwxyz"))
CLUSTERS = np.array([7, 7, 7, 2, 2, 5, 5])


def test_a_cluster_takes_its_commonest_type_and_of_equals_the_first_by_name():
    voted = majority_vote(CALLED, CLUSTERS, 0.0)
    assert list(voted) == ["a", "a", "a", "b", "b", "d", "d"]
    assert list(voted.index) == list(CALLED.index) and CALLED["v"] == "b"


def test_a_cluster_without_a_clear_winner_keeps_its_cells_as_they_are():
    assert list(majority_vote(CALLED, CLUSTERS, 0.9)) == [*"aabbc", "d", "d"]


def test_clusters_are_finer_than_types_and_never_across_them():
    generator = np.random.default_rng(0)
    kinds = np.repeat([0, 10, 20], 60)
    embedding = pd.DataFrame(generator.normal(size=(180, 4)) + kinds[:, None])
    clusters = over_cluster(embedding, None, seed=0)
    assert len(np.unique(clusters)) > 3
    assert all(len(set(kinds[clusters == cluster])) == 1 for cluster in np.unique(clusters))
    assert np.array_equal(clusters, over_cluster(embedding, None, seed=0))
    assert len(np.unique(over_cluster(embedding, 0.05, seed=0))) == 3


def test_few_cells_do_not_outvote_each_other():
    assert len(set(over_cluster(pd.DataFrame(np.ones((5, 2))), None, 0))) == 5
