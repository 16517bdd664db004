"""`tl.network`: gene regulation scored by correlation, in-silico knock-outs and embeddings."""

from collections.abc import Sequence

from anndata import AnnData

from sc_mamba2.cells import keys
from sc_mamba2.cells.adding import WORD
from sc_mamba2.tasks.gene_network.genes import prepare
from sc_mamba2.tasks.gene_network.params import GeneNetworkParams
from sc_mamba2.tasks.gene_network.scores import make_network, score_pairs
from sc_mamba2.tasks.shared.parameters import build_parameters
from sc_mamba2.tasks.shared.params import SHARED_GROUPS
from sc_mamba2.tl.shared import Changes, Groups, returned, valid_cells
from sc_mamba2.tl.tool import tool
from sc_mamba2.training.machine import restored_random_state

GROUPS = SHARED_GROUPS | {"gene_network": GeneNetworkParams}


@tool("network")
def network(
    adata: AnnData,
    genes: Sequence[str] | None = None,
    *,
    key_added: str = WORD,
    copy: bool = False,
    options: Changes,
) -> AnnData | None:
    """Score which genes regulate which, without training, like `scm network`.

    Parameters
    ----------
    adata
        Cells to analyse.
    genes
        Regulators, by symbol or Ensembl id; by default the expressed transcription factors.
    options
        Those of the verb.

    Returns
    -------
    AnnData or None
        The copy if `copy` is set. Added: ``uns["scm_edges"]``, one row per edge, best first, and
        ``uns["scm_modules"]``, one row per gene of the top edges.

    Examples
    --------
    >>> import sc_mamba2 as scm
    >>> from sc_mamba2.cells import simulate_cells
    >>> cells = simulate_cells(cells=20)
    >>> few = {"gene_network.genes.most_regulators": 2, "gene_network.genes.targets": 10}
    >>> few["gene_network.scoring.cells_a_regulator"] = 3
    >>> scm.tl.network(cells, params=few)
    >>> list(cells.uns["scm_edges"].columns[:2])
    ['source', 'target']
    """
    regulators = {} if genes is None else {"gene_network.genes.regulators": ",".join(genes)}
    groups: Groups = build_parameters(GROUPS, {**regulators, **options})
    task, compute = groups["gene_network"], groups["compute"]
    with restored_random_state():
        valid = valid_cells(adata, groups).valid
        chosen = task.scoring, task.reference, task.genes, groups["ingestion"]
        model, _, choice = prepare(valid, *chosen, compute)
        scores = score_pairs(valid, model, choice, task.scoring, task.baselines, compute)
        edges, modules, _ = make_network(scores, task.scoring, task.network, compute)
    results = AnnData(obs=adata.obs[[]], uns={keys.EDGES: edges, keys.MODULES: modules})
    return returned(adata, results, key_added, copy)
