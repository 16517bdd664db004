"""`tl.perturb`: predicted expression of perturbed cells."""

from pathlib import Path

from anndata import AnnData

from sc_mamba2.cells import keys
from sc_mamba2.cells.adding import WORD
from sc_mamba2.tasks.perturbation.fit import complete_model, gate_layers, hold_out, prepare
from sc_mamba2.tasks.perturbation.model import PerturbationModel
from sc_mamba2.tasks.perturbation.params import PerturbationParams
from sc_mamba2.tasks.perturbation.predict import prepare_prediction, write_predicted
from sc_mamba2.tasks.shared.backbone import fine_tune, predict
from sc_mamba2.tasks.shared.coverage import add_coverage
from sc_mamba2.tasks.shared.parameters import build_parameters
from sc_mamba2.tasks.shared.params import SHARED_GROUPS
from sc_mamba2.tl.shared import (
    Changes,
    Checkpoint,
    note_training,
    returned,
    run_facts,
    trained_model,
    valid_cells,
)
from sc_mamba2.tl.tool import refuse_training_options, tool
from sc_mamba2.training.machine import restored_random_state

GROUPS = SHARED_GROUPS | {"perturbation": PerturbationParams}


@tool("perturb")
def perturb(
    adata: AnnData,
    perturbation: str,
    *,
    checkpoint: Checkpoint | None = None,
    save: str | Path | None = None,
    key_added: str = WORD,
    copy: bool = False,
    options: Changes,
) -> AnnData | None:
    """Predict the effect of a perturbation on the control cells, like `scm perturb`.

    Parameters
    ----------
    adata
        N perturbed and control cells; with a checkpoint, controls are enough.
    perturbation
        A gene, a compound, or several joined by ``+``.
    checkpoint
        Trained model, or its folder; nothing is trained.
    save
        Folder to save the trained model in; usable as `checkpoint` here, in `tl.reverse` and the commands.
    options
        Those of the verb.

    Returns
    -------
    AnnData or None
        The copy if `copy` is set. Added: ``layers["scm_predicted"]`` (N, G), sparse: log1p(CP10K) of
        each control cell as if perturbed; ``obs["scm_predicted"]`` and ``var["scm_predicted"]``, which
        cells and genes were predicted; ``uns["scm_predicted_genes"]``, the table of genes with the
        confidence of their change; ``uns["scm"]``.

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
    refuse_training_options(checkpoint, {"save": save})
    own = {"perturbation.population.perturbation": perturbation}
    groups = build_parameters(GROUPS, {**own, **options})
    p, compute = groups["perturbation"], groups["compute"]
    with restored_random_state():
        raw, valid, report = valid_cells(adata, groups)
        if checkpoint is None:
            training, test, split, _ = hold_out(valid, p.keys, p.split, p.evaluation, compute)
            chosen = (p.keys, p.split, p.start, p.head, p.population, groups["tokenization"])
            prepared = prepare(training, split, *chosen, p.backbone, compute)
            untrained, _, requested, learning, validating, _ = prepared
            fitted, _ = fine_tune(untrained, learning, validating, p.fine_tune, compute)
            scored, _ = gate_layers(fitted, learning, validating, compute)
            model, controls, tokens = complete_model(scored, training, test, valid, requested)
            note_training(model, groups)
        else:
            model = trained_model(checkpoint, PerturbationModel)
            report = add_coverage(model, valid, report, groups["validation"])
            requested, controls, tokens = prepare_prediction(model, valid, p.population)
        outputs = predict(model, tokens, p.predict, compute)
        facts = run_facts("tl.perturb", groups, model)
        numbers = (p.population, groups["ingestion"], compute)
        made = (raw, controls, outputs, model, requested, report, facts)
        cells, genes, _ = write_predicted(*made, *numbers)
    if save is not None:
        model.save_pretrained(save)
    cells.obs[keys.PREDICTED] = True
    cells.uns[keys.PREDICTED_GENES] = genes.set_index("ensembl_id")
    return returned(adata, cells, key_added, copy)
