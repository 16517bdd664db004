"""How near a candidate's change comes to the one that is looked for, in a few numbers.

Legend: C candidates, G genes, X features.
"""

import numpy as np

COLUMNS = ("cosine", "distance", "own_gene")


def compare(
    change_G: np.ndarray,
    error_G: np.ndarray,
    told_CG: np.ndarray,
    own: list[list[int]],
    own_sign: float,
    most: float,
) -> np.ndarray:
    """Compare a change with those of the candidates.

    Genes weigh by their standard error: ``z_g = change_g / sqrt(error_g + median error)``.

    Parameters
    ----------
    change_G, error_G
        What is looked for, and its squared error.
    told_CG
        Changes of the candidates.
    own
        Columns of each candidate's own genes.
    own_sign
        Which way a perturbation moves its own gene: -1, 0 or 1.
    most
        Its z counts up to this.

    Returns
    -------
    ndarray
        (C, X): cosine; minus the distance over the size of the change; mean z of the own genes
        times the sign, at most `most` either way.
    """
    scale_G = 1 / np.sqrt(error_G + max(float(np.median(error_G)), 1e-12))
    wanted_G, offered_CG = change_G * scale_G, told_CG * scale_G
    size = max(float(np.linalg.norm(wanted_G)), 1e-12)
    sizes_C = np.maximum(np.linalg.norm(offered_CG, axis=1), 1e-12)
    cosine_C = offered_CG @ wanted_G / (size * sizes_C)
    distance_C = np.linalg.norm(offered_CG - wanted_G, axis=1) / size
    own_C = [own_sign * wanted_G[columns].mean() if columns else 0.0 for columns in own]
    return np.stack([cosine_C, -distance_C, np.clip(own_C, -most, most)], axis=1)
