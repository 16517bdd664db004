"""Slow, plain twins of the metrics of embeddings, and cells to try them on."""

import math
from collections import Counter
from itertools import combinations

import numpy as np
from hypothesis import strategies as st


def distances(points: np.ndarray) -> np.ndarray:
    return np.array([[math.dist(one, other) for other in points] for one in points])


def silhouettes(points: np.ndarray, groups: np.ndarray) -> list[float]:
    apart, widths = distances(points), []
    for cell, group in enumerate(groups):
        means = {}
        for other in set(groups):
            rows = [row for row in range(len(groups)) if groups[row] == other and row != cell]
            means[other] = np.mean(apart[cell, rows]) if rows else None
        within = means.pop(group)
        beside = min(means.values())
        alone = within is None or max(within, beside) == 0
        widths.append(0.0 if alone else (beside - within) / max(within, beside))
    return widths


def asw_batch(points: np.ndarray, labels: np.ndarray, batches: np.ndarray) -> float | None:
    means = []
    for label in sorted(set(labels)):
        rows = [row for row in range(len(labels)) if labels[row] == label]
        if 1 < len(set(batches[rows])) < len(rows):
            widths = silhouettes(points[rows], batches[rows])
            means.append(sum(1 - abs(width) for width in widths) / len(rows))
    return sum(means) / len(means) if means else None


def entropy(groups: list) -> float:
    shares = [count / len(groups) for count in Counter(groups).values()]
    return -sum(share * math.log(share) for share in shares)


def nmi(labels: list, clusters: list) -> float:
    both = entropy(list(zip(labels, clusters, strict=True)))
    mutual = entropy(labels) + entropy(clusters) - both
    return 2 * mutual / (entropy(labels) + entropy(clusters))


def ari(labels: list, clusters: list) -> float:
    pairs = list(combinations(range(len(labels)), 2))
    same_label = [labels[i] == labels[j] for i, j in pairs]
    same_cluster = [clusters[i] == clusters[j] for i, j in pairs]
    agreed = sum(a and b for a, b in zip(same_label, same_cluster, strict=True))
    chance = sum(same_label) * sum(same_cluster) / len(pairs)
    most = (sum(same_label) + sum(same_cluster)) / 2
    return 1.0 if most == chance else (agreed - chance) / (most - chance)


def connectivity(indices: np.ndarray, labels: np.ndarray) -> float:
    """Follow the arrows to see who reaches whom; a component reaches each other both ways."""
    shares = []
    for label in sorted(set(labels)):
        rows = [row for row in range(len(labels)) if labels[row] == label]
        reached = {row: {row} for row in rows}
        for _ in rows:
            for row in rows:
                for near in indices[row]:
                    if near in reached:
                        reached[row] |= reached[near]
        sizes = [sum(row in reached[other] for other in reached[row]) for row in rows]
        shares.append(max(sizes) / len(rows))
    return sum(shares) / len(shares)


@st.composite
def scenes(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw an embedding with labels and batches that shift it more or less."""
    cells, width = draw(st.integers(6, 40)), draw(st.integers(1, 4))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    labels = random.integers(0, draw(st.integers(1, 4)), cells)
    batches = random.integers(0, draw(st.integers(1, 3)), cells)
    shift = draw(st.sampled_from([0.0, 1.0, 5.0]))
    points = random.normal(size=(cells, width)) + 4 * labels[:, None] + shift * batches[:, None]
    return points, np.array(list("abcd"))[labels], np.array(list("xyz"))[batches]


def blobs(cells: int = 300, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Give cells of four types in two batches that are a little apart."""
    random = np.random.default_rng(seed)
    labels, batches = random.integers(0, 4, cells), random.integers(0, 2, cells)
    centres = 5 * random.normal(size=(4, 10))
    points = centres[labels] + random.normal(size=(cells, 10)) + 1.5 * batches[:, None]
    return points.astype(np.float32), np.array(list("abcd"))[labels], np.array(["x", "y"])[batches]
