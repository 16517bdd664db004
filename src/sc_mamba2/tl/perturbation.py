"""`tl.perturb`: cells as if they were perturbed; `tl.reverse`: which perturbation leads to a state."""

from copy import deepcopy
from pathlib import Path

from anndata import AnnData

from sc_mamba2.cells import keys
from sc_mamba2.cells.adding import WORD
from sc_mamba2.tasks.perturbation.fit import complete_model, gate_layers, hold_out, prepare
from sc_mamba2.tasks.perturbation.model import PerturbationModel
from sc_mamba2.tasks.perturbation.params import PerturbationParams
from sc_mamba2.tasks.perturbation.predict import prepare_prediction, write_predicted
from sc_mamba2.tasks.perturbation.reverse import rank as reverse_tasks
from sc_mamba2.tasks.perturbation.reverse.params import ReversePerturbationParams
from sc_mamba2.tasks.shared.backbone import fine_tune, predict
from sc_mamba2.tasks.shared.parameters import build_parameters
from sc_mamba2.tasks.shared.params import IngestionParams, TokenizationParams, ValidationParams
from sc_mamba2.tl.shared import (
    Changes,
    Checkpoint,
    alone,
    changes,
    returned,
    run_facts,
    trained_model,
    valid_cells,
)
from sc_mamba2.training import ComputeOptions
from sc_mamba2.training.machine import chance_as_found

_SHARED = {
    "ingestion": IngestionParams,
    "validation": ValidationParams,
    "tokenization": TokenizationParams,
    "compute": ComputeOptions,
}


def perturb(
    adata: AnnData,
    perturbation: str,
    *,
    perturbation_key: str | None = None,
    control: str | None = None,
    context_key: str | None = None,
    kind: str | None = None,
    features: str | Path | None = None,
    checkpoint: Checkpoint | None = None,
    start: str | None = None,
    save: str | Path | None = None,
    layer: str | None = None,
    max_length: int | None = None,
    batch_size: int | None = None,
    device: str | None = None,
    seed: int | None = None,
    params: Changes | None = None,
    key_added: str = WORD,
    copy: bool = False,
) -> AnnData | None:
    """Predict what a perturbation does to the control cells; as `scm perturb`.

    Parameters
    ----------
    adata
        N perturbed and control cells; with a checkpoint, controls alone are enough.
    perturbation
        What to predict: a gene, a compound, or several joined by ``+``.
    perturbation_key
        Column of `obs` that names the perturbation of a cell.
    control
        How unperturbed cells are called there.
    context_key
        Column of `obs` with cell types, lines or batches.
    kind
        ``knockout``, ``crispri``, ``crispra`` or ``chemical``.
    features
        CSV file with a row of numbers a perturbation.
    checkpoint
        Trained folder, or model; nothing is trained.
    start
        Checkpoint whose backbone the training begins with.
    save
        Folder for the trained model, to be used as `checkpoint` here, by `tl.reverse` and the verbs.
    layer, max_length, batch_size, device, seed, params, key_added, copy
        As `tl.embed`.

    Returns
    -------
    AnnData or None
        The copy, if one was asked for. Added: ``layers["scm_predicted"]`` (N, G), sparse: log1p(CP10K)
        of each control cell as if it were perturbed; ``obs["scm_predicted"]`` and
        ``var["scm_predicted"]`` tell which cells and genes are predicted;
        ``uns["scm_predicted_genes"]``, the table of genes with the trust in their change; ``uns["scm"]``.

    Raises
    ------
    UserError
        Everything that the verb refuses; nothing is added then.

    Examples
    --------
    >>> import sc_mamba2 as scm
    >>> from sc_mamba2.cells import simulate_perturbed
    >>> cells = simulate_perturbed(cells=20, genes=80, targets=4)
    >>> known = sorted(set(cells.obs["perturbation"]) - {"control"})
    >>> short = {"perturbation.fine_tune.max_epochs": 1, "perturbation.population.ensemble": 2}
    >>> scm.tl.perturb(cells, known[0], params=short)
    >>> int(cells.obs["scm_predicted"].sum()) == int((cells.obs["perturbation"] == "control").sum())
    True
    """
    trained = {"perturbation_key": perturbation_key, "control": control, "kind": kind}
    trained |= {"context_key": context_key, "start": start}
    alone(checkpoint, features=features, save=save, max_length=max_length, **trained)
    own = {
        "perturbation.population.perturbation": perturbation,
        "perturbation.keys.perturbation_key": perturbation_key,
        "perturbation.keys.control": control,
        "perturbation.keys.context_key": context_key,
        "perturbation.keys.kind": kind,
        "perturbation.keys.feature_file": None if features is None else str(features),
        "perturbation.backbone.checkpoint": start,
        "tokenization.vocabulary": start,
        "perturbation.predict.batch_size": batch_size,
        "tokenization.max_length": max_length,
    }
    groups = build_parameters(
        {"perturbation": PerturbationParams, **_SHARED}, changes(own, layer, device, seed, params)
    )
    p, compute = groups["perturbation"], groups["compute"]
    facts = run_facts("tl.perturb", groups)
    with chance_as_found():
        raw, valid, report = valid_cells(adata, groups)
        if checkpoint is None:
            training, test, split, _ = hold_out(valid, p.keys, p.split, p.evaluation, compute)
            model, _, requested, learning, validating, _ = prepare(
                training,
                split,
                p.keys,
                p.split,
                p.start,
                p.head,
                p.population,
                groups["tokenization"],
                p.backbone,
                compute,
            )
            model, _ = fine_tune(model, learning, validating, p.fine_tune, compute)
            model, _ = gate_layers(model, learning, validating, compute)
            model, controls, tokens = complete_model(model, training, test, valid, requested)
        else:
            model = deepcopy(trained_model(checkpoint, PerturbationModel))
            requested, controls, tokens = prepare_prediction(model, valid, p.population)
        outputs = predict(model, tokens, p.predict, compute)
        cells, genes, _ = write_predicted(
            raw,
            controls,
            outputs,
            model,
            requested,
            report,
            facts,
            p.population,
            groups["ingestion"],
            compute,
        )
    if save is not None:
        model.save_pretrained(save)
    cells.obs[keys.PREDICTED] = True
    cells.uns[keys.PREDICTED_GENES] = genes.set_index("ensembl_id")
    return returned(adata, cells, key_added, copy)


def reverse(
    adata: AnnData,
    target: str,
    *,
    checkpoint: Checkpoint,
    source: str | None = None,
    state_key: str | None = None,
    candidates: list[str] | None = None,
    pairs: bool = False,
    layer: str | None = None,
    seed: int | None = None,
    params: Changes | None = None,
    key_added: str = WORD,
    copy: bool = False,
) -> AnnData | None:
    """Rank perturbations by how near they bring cells to a state; as `scm reverse`.

    Parameters
    ----------
    adata
        Cells of both states.
    target
        State of the cells to reach.
    checkpoint
        Folder, or model, that `tl.perturb` or `scm perturb` trained.
    source
        State of the cells to begin with.
    state_key
        Column of `obs` with the states.
    candidates
        Perturbations to rank; else all that the checkpoint was trained with.
    pairs
        Whether every pair of the candidates is ranked too.
    layer, seed, params, key_added, copy
        As `tl.embed`.

    Returns
    -------
    AnnData or None
        The copy, if one was asked for. Added: ``uns["scm_ranking"]``, a line a candidate: rank, score,
        probability, and the genes that drive it.

    Raises
    ------
    UserError
        Everything that the verb refuses; nothing is added then.
    """
    own = {
        "reverse_perturbation.states.state_key": state_key,
        "reverse_perturbation.states.source": source,
        "reverse_perturbation.states.target": target,
        "reverse_perturbation.candidates.pairs": pairs or None,
    }
    groups = build_parameters(
        {"reverse_perturbation": ReversePerturbationParams, **_SHARED},
        changes(own, layer, None, seed, params),
    )
    p = groups["reverse_perturbation"]
    model = trained_model(checkpoint, PerturbationModel)
    with chance_as_found():
        _, valid, _ = valid_cells(adata, groups)
        query, names = reverse_tasks.prepare(valid, model, p.states, p.candidates, candidates)
        ranker = reverse_tasks.fit_ranker(model, names, query, p.rank, groups["compute"])
        ranking = reverse_tasks.rank_candidates(ranker, query)
    results = AnnData(obs=adata.obs[[]], uns={keys.RANKING: ranking})
    return returned(adata, results, key_added, copy)
