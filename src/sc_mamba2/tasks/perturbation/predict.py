"""Predict held-out effects, and predict cells with a table of genes and measures of trust.

Legend: N cells, T held-out effects, G genes, K width of the code.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse, stats

from sc_mamba2.cells import choose_expression, keys as written_keys
from sc_mamba2.cells.expression import clean_matrix
from sc_mamba2.cells.gene_columns import column_ids
from sc_mamba2.cells.stored import StoredCells
from sc_mamba2.genes import load_gene_table
from sc_mamba2.methods.mean_changes import changed_cells, mean_change, moments
from sc_mamba2.tasks.perturbation.effects import pairs_of
from sc_mamba2.tasks.perturbation.features import base_name
from sc_mamba2.tasks.perturbation.model import ROW, PerturbationModel
from sc_mamba2.tasks.perturbation.params import PopulationParams
from sc_mamba2.tasks.perturbation.prior_fit import ensemble_estimates
from sc_mamba2.tasks.perturbation.prior_names import known_prior, names_of
from sc_mamba2.tasks.perturbation.reading import read_controls
from sc_mamba2.tasks.perturbation.split import CONTEXT, PERTURBATION
from sc_mamba2.tasks.shared.facts import output_facts
from sc_mamba2.tasks.shared.params import IngestionParams
from sc_mamba2.tasks.shared.tokenization import tokenize_cells
from sc_mamba2.tokens import TokenizedCells
from sc_mamba2.training import ComputeOptions


def pair_with_controls(
    rows: pd.DataFrame, controls: TokenizedCells, cells: int, seed: int
) -> TokenizedCells:
    """Draw at most `cells` control cells of its context for every effect.

    Parameters
    ----------
    rows
        T rows: ``perturbation``, ``context``.
    controls
        Tokens of control cells, with ``obs["context"]``. A context without any draws from all.
    cells
        Control cells an effect, at most.
    seed
        Seed of the draws, which are without replacement.

    Returns
    -------
    TokenizedCells
        With ``perturbation``, ``row`` (index of the effect) and ``cell`` (index of the control cell).
    """
    generator = np.random.default_rng(seed)
    context = controls.obs[CONTEXT].astype(str).to_numpy()
    places, owners = [], []
    for row, wanted in enumerate(rows[CONTEXT]):
        own = np.flatnonzero(context == wanted)
        drawn = generator.permutation(own if len(own) else len(context))[:cells]
        places.append(drawn)
        owners.append(np.full(len(drawn), row))
    place_N, owner_N = np.concatenate(places), np.concatenate(owners)
    taken = controls.take(place_N)
    table = pd.DataFrame({ROW: owner_N, "cell": place_N}, index=taken.obs.index)
    table[PERTURBATION] = rows[PERTURBATION].to_numpy()[owner_N]
    return replace(taken, obs=table)


def predicted_effects(
    model: PerturbationModel,
    rows: pd.DataFrame,
    pairs: pd.DataFrame,
    code_NK: np.ndarray,
    controls: AnnData,
) -> np.ndarray:
    """Return the mean change of predicted cells from the control cells they start from, (T, G).

    `pairs` assigns `controls` to the effects in `rows`, see `pair_with_controls`; `code_NK` is the model's
    output for the pairs.
    """
    changes = []
    for row, (name, context) in enumerate(pairs_of(rows)):
        members = (pairs[ROW] == row).to_numpy()
        values = controls.X[pairs["cell"].to_numpy()[members]]
        change_NG = cell_changes(model, name, context, code_NK[members])
        changes.append(mean_change(values, change_NG, *model.decoding))
    return np.stack(changes)


def cell_changes(
    model: PerturbationModel,
    name: str,
    context: str,
    code_NK: np.ndarray,
    own_G: np.ndarray | None = None,
) -> np.ndarray:
    """Return the change of every gene in every cell, (N, G); (1, G) if it is the same for all.

    `own_G`, the mean of the cells, is the control mean if the model does not know the context.
    """
    control_G = model.prior.effects.control_of(context, own_G)
    estimate_G = np.zeros(len(control_G))
    if "start" in model.head.paths:
        estimate_G = model.prior.estimate(name, context, control_G)
    if not model.gate:
        return estimate_G[None]
    added_NG = model.added_change(code_NK)
    return estimate_G + (1 - model.prior.measured_weight(name, context)) * added_NG


def prepare_prediction(
    model: PerturbationModel, valid_cells: AnnData, params: PopulationParams
) -> tuple[str, AnnData, TokenizedCells]:
    """Read the requested perturbation, which the model must know, and the control cells of the file.

    Returns
    -------
    requested
        Canonical name; by default the first measured perturbation.
    controls, tokens
        See `tokens_of_request`.
    """
    first = str(model.prior.effects.rows[PERTURBATION][0])
    requested = names_of(model.prior, model.keys).resolve(params.perturbation or first)
    known_prior(model.prior, model.keys, requested)
    return requested, *tokens_of_request(valid_cells, model, requested)


def tokens_of_request(
    valid_cells: AnnData, model: PerturbationModel, requested: str
) -> tuple[AnnData, TokenizedCells]:
    """Return the control cells over the model's genes, and their tokens under a perturbation."""
    controls = read_controls(valid_cells, model.keys, model.prior.effects.genes)
    tokens = tokenize_cells(controls, model.tokenizer)
    table = tokens.obs.assign(**{PERTURBATION: requested}, **{ROW: 0})
    return controls, replace(tokens, obs=table)


def write_predicted(
    raw_cells: AnnData,
    controls: AnnData,
    outputs: dict[str, np.ndarray],
    model: PerturbationModel,
    requested: str,
    validation_report: dict[str, Any],
    run_info: dict[str, Any],
    params: PopulationParams,
    ingestion: IngestionParams,
    compute: ComputeOptions,
) -> tuple[AnnData, pd.DataFrame, dict[str, Any]]:
    """Predict the control cells under the perturbation, and write them into a copy of the user's cells.

    Parameters
    ----------
    raw_cells
        Cells as read. `X`, the order and all keys of the user stay unchanged.
    controls
        Control cells in the standard form.
    outputs
        The model's outputs for them.

    Returns
    -------
    predicted_cells
        Control cells with ``layers["scm_predicted"]``, sparse: log1p(CP10K) of each cell under the
        perturbation. Genes without a prediction keep the control cell's value;
        ``var["scm_predicted"]`` marks the predicted ones.
    genes
        One row a gene, with the Ensembl id, largest |z| first; see `predict_population`.
    trust
        See `predict_population`.
    """
    cells, genes, trust = predict_population(
        model.with_names(requested),
        requested,
        controls,
        outputs["code"],
        params.ensemble,
        compute.seed,
    )
    written = raw_cells[controls.obs_names].copy()
    ids = column_ids(written.var, load_gene_table(ingestion.gene_table))
    place = {ident: at for at, ident in enumerate(controls.var_names)}
    # If two columns are one gene, the first gets the prediction.
    columns: dict[str, int] = {}
    for column, ident in enumerate(ids):
        if ident in place:
            columns.setdefault(ident, column)
    source, target = [place[ident] for ident in columns], list(columns.values())
    move = sparse.csr_matrix(
        (np.ones(len(source), dtype=np.float32), (source, target)),
        shape=(controls.n_vars, written.n_vars),
    )
    predicted = np.isin(np.arange(written.n_vars), target)
    kept = control_values(raw_cells, written, ingestion) @ sparse.diags((~predicted).astype("f4"))
    written.layers[written_keys.PREDICTED] = sparse.csr_matrix(cells @ move + kept)
    written.var[written_keys.PREDICTED] = predicted
    written.uns[written_keys.FACTS] = output_facts(
        run_info, validation_report, model.sha256(), model.tokenizer.vocabulary.sha256
    ) | {"perturbation": requested, "perturbation_kind": model.keys.kind}
    return written, genes.reset_index(names="ensembl_id"), trust


def control_values(
    raw_cells: AnnData, written: AnnData, ingestion: IngestionParams
) -> sparse.csr_matrix:
    """Return log1p(CP10K) of the cells in `written`, over all genes of the file, known or not.

    Features that are no genes, and genes missing from the expression matrix, are 0.
    """
    table = load_gene_table(ingestion.gene_table)
    stored = StoredCells.of(raw_cells)
    expression = choose_expression(stored, table, ingestion.layer, ingestion.holds)
    rows = raw_cells.obs_names.get_indexer(written.obs_names)
    matrix = clean_matrix(expression.candidate.read(0, raw_cells.n_obs))[rows]
    values = expression.scale.log_normalise(matrix)
    genes, measured = expression.candidate.genes, expression.candidate.measured
    source = np.arange(len(genes)) if measured is None else measured
    target = source
    if not genes.index.equals(written.var_names):  # genes of `raw`
        target = written.var_names.get_indexer(genes.index[source])
    present = target >= 0
    ones = np.ones(present.sum(), dtype=np.float32)
    places = (np.flatnonzero(present), target[present])
    return values @ sparse.csr_matrix((ones, places), (values.shape[1], written.n_vars))


def predict_population(
    model: PerturbationModel,
    name: str,
    controls: AnnData,
    code_NK: np.ndarray,
    ensemble: int,
    seed: int,
) -> tuple[sparse.csr_matrix, pd.DataFrame, dict[str, Any]]:
    """Predict a population of cells under a perturbation.

    Parameters
    ----------
    model, name
        The model; a perturbation that it knows (`PerturbationModel.with_names`).
    controls, code_NK
        N control cells over the model's genes, with ``obs["context"]``; the model's output for them.
    ensemble, seed
        Number of resamples of the training effects, and their seed.

    Returns
    -------
    cells
        (N, G).
    table
        Genes by Ensembl id, largest |z| first: means, change and spreads; ``z``, change over the
        ensemble's spread; its two-sided ``p``, ``q`` by Benjamini-Hochberg, ``direction``.
    trust
        How far to trust the prediction: what was measured, similar perturbations, the spread.
    """
    contexts = controls.obs[CONTEXT].astype(str).to_numpy()
    spread_G = np.zeros(controls.n_vars)
    blocks, places = [], []
    for context in sorted(set(contexts)):
        members = np.flatnonzero(contexts == context)
        values = controls.X[members]
        own_G, _ = moments(values)
        change_NG = cell_changes(model, name, context, code_NK[members], own_G)
        # Scale by the mean of the context's own cells: the mean over contexts would over- or undershoot.
        blocks.append(changed_cells(values, change_NG, own_G, *model.decoding))
        places.append(members)
        control_G = model.prior.effects.control_of(context, own_G)
        drawn = ensemble_estimates(model.prior, name, context, control_G, ensemble, seed)
        spread_G += len(members) / len(contexts) * drawn.std(axis=0, ddof=1)
    cells = sparse.vstack(blocks, format="csr")[np.argsort(np.concatenate(places))]
    control_G, variance_G = moments(controls.X)
    mean_G, predicted_variance_G = moments(cells)
    table = pd.DataFrame(
        {
            "gene": controls.var["symbol"].to_numpy(),
            "control_mean": control_G,
            "predicted_mean": mean_G,
            "change": mean_G - control_G,
            "control_spread": np.sqrt(variance_G),
            "predicted_spread": np.sqrt(predicted_variance_G),
            "ensemble_spread": spread_G,
        },
        index=controls.var_names,
    )
    table = _with_direction(table)
    trust = _trust(model, name, set(contexts), table)
    return cells, table.iloc[np.argsort(-np.abs(table["z"]), kind="stable")], trust


def _with_direction(table: pd.DataFrame) -> pd.DataFrame:
    """Add z (change over ensemble spread), its two-sided p, q by Benjamini-Hochberg, the direction."""
    change, spread = table["change"].to_numpy(), table["ensemble_spread"].to_numpy()
    z = np.divide(change, spread, out=np.zeros(len(table)), where=spread > 0)
    p = 2 * stats.norm.sf(np.abs(z))
    direction = np.where(z == 0, "none", np.where(z > 0, "up", "down"))
    return table.assign(z=z, p=p, q=stats.false_discovery_control(p), direction=direction)


def _trust(
    model: PerturbationModel, name: str, contexts: set[str], table: pd.DataFrame
) -> dict[str, Any]:
    rows = model.prior.effects.rows
    own = rows[rows[PERTURBATION] == name]
    size = float(np.linalg.norm(table["change"]))
    seen = "in these contexts" if contexts <= set(own[CONTEXT]) else "in other contexts"
    if own.empty:
        whole = model.prior.effects.whole
        bases = {base_name(other, whole) for other in rows[PERTURBATION]}
        seen = "at other doses" if base_name(name, whole) in bases else "never"
    return {
        "perturbation": name,
        "seen": seen,
        "measured_weight": round(
            float(np.mean([model.prior.measured_weight(name, context) for context in contexts])), 3
        ),
        "likeness": model.prior.partners(name),
        "ensemble_spread_over_change": round(
            float(np.linalg.norm(table["ensemble_spread"])) / max(size, 1e-12), 3
        ),
        "genes_changed": int((table["q"] < 0.05).sum()),
    }
