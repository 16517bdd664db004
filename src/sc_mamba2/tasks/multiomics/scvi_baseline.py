"""totalVI beside the model, where the extra `scvi` is installed and both modalities are counts.

Gayoso et al. 2021, "Joint probabilistic modeling of single-cell multi-omic data with totalVI".
"""

from importlib.util import find_spec

import numpy as np
import pandas as pd
from anndata import AnnData

from sc_mamba2.cells.keys import COUNTS_LAYER
from sc_mamba2.cells.modalities import PROTEIN, RNA
from sc_mamba2.tasks.multiomics.cells import JointCells
from sc_mamba2.tasks.multiomics.design import has, scored_cells
from sc_mamba2.tasks.shared.batches import BATCH

LATENT = 20  # totalVI's own default


def totalvi_embedding(
    cells: JointCells, genes: list[str], design: pd.DataFrame, seed: int
) -> np.ndarray | None:
    """Embed cells by totalVI with its own settings, trained on those that are not scored.

    Parameters
    ----------
    cells
        All cells, with counts of RNA and protein.
    genes
        Ensembl ids that it reads.
    design
        Their parts, batches and modalities.
    seed
        Of its training.

    Returns
    -------
    ndarray or None
        (N, 20) float32, NaN for cells that lack RNA; None where it cannot run. A cell without proteins counts as
        one with zeros of them.
    """
    if find_spec("scvi") is None or PROTEIN not in cells.modalities:
        return None
    rna, proteins = cells.modalities[RNA], cells.modalities[PROTEIN].X
    whole = bool((proteins.data == np.rint(proteins.data)).all())
    if COUNTS_LAYER not in rna.layers or not whole:
        return None
    import scvi

    scvi.settings.seed = seed
    counts = AnnData(X=rna[:, genes].layers[COUNTS_LAYER].copy(), obs=design[[BATCH]].copy())
    counts.obsm["proteins"] = proteins.toarray()
    have_rna = design[has(RNA)].to_numpy(bool)
    fitted = have_rna & design[has(PROTEIN)].to_numpy(bool) & ~scored_cells(design)
    training = counts[fitted].copy()
    scvi.model.TOTALVI.setup_anndata(
        training, protein_expression_obsm_key="proteins", batch_key=BATCH
    )
    model = scvi.model.TOTALVI(training, n_latent=LATENT)
    model.train(enable_progress_bar=False)
    known = have_rna & design[BATCH].isin(set(design[BATCH][fitted])).to_numpy()
    embedding = np.full((len(design), LATENT), np.nan, dtype=np.float32)
    embedding[known] = model.get_latent_representation(counts[known].copy())
    return embedding
