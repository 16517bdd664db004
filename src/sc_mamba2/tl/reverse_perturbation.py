"""`tl.reverse`: the perturbations that lead to a state."""

from anndata import AnnData

from sc_mamba2.cells import keys
from sc_mamba2.cells.adding import WORD
from sc_mamba2.tasks.perturbation.model import PerturbationModel
from sc_mamba2.tasks.perturbation.reverse.params import ReversePerturbationParams
from sc_mamba2.tasks.perturbation.reverse.rank import fit_ranker, prepare, rank_candidates
from sc_mamba2.tasks.shared.parameters import build_parameters
from sc_mamba2.tasks.shared.params import SHARED_GROUPS
from sc_mamba2.tl.shared import Changes, Checkpoint, returned, trained_model, valid_cells
from sc_mamba2.tl.tool import tool
from sc_mamba2.training.machine import restored_random_state

GROUPS = SHARED_GROUPS | {"reverse_perturbation": ReversePerturbationParams}


@tool("reverse")
def reverse(
    adata: AnnData,
    target: str,
    *,
    checkpoint: Checkpoint,
    candidates: list[str] | None = None,
    key_added: str = WORD,
    copy: bool = False,
    options: Changes,
) -> AnnData | None:
    """Rank perturbations by how close they bring cells to a state, like `scm reverse`.

    Parameters
    ----------
    adata
        Cells of both states.
    target
        State to reach.
    checkpoint
        Model trained by `tl.perturb` or `scm perturb`, or its folder.
    candidates
        Perturbations to rank; by default all that the checkpoint was trained with.
    options
        Those of the verb.

    Returns
    -------
    AnnData or None
        The copy if `copy` is set. Added: ``uns["scm_ranking"]``, one row per candidate: rank, score,
        probability, and the genes that drive it.
    """
    goal = {"reverse_perturbation.states.target": target}
    groups = build_parameters(GROUPS, {**goal, **options})
    p = groups["reverse_perturbation"]
    model = trained_model(checkpoint, PerturbationModel)
    with restored_random_state():
        _, valid, _ = valid_cells(adata, groups)
        query, names = prepare(valid, model, p.states, p.candidates, candidates)
        ranker = fit_ranker(model, names, query, p.rank, groups["compute"])
        ranking = rank_candidates(ranker, query)
    results = AnnData(obs=adata.obs[[]], uns={keys.RANKING: ranking})
    return returned(adata, results, key_added, copy)
