"""Call the cells of a query by a trained model, and write an annotated AnnData."""

from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData, settings

from sc_mamba2.cells import keys
from sc_mamba2.methods.conformal import class_sets
from sc_mamba2.methods.majority_vote import majority_vote, over_cluster
from sc_mamba2.tasks.annotation.annotator import Annotator
from sc_mamba2.tasks.annotation.consensus import ConsensusModel
from sc_mamba2.tasks.annotation.params import CallParams, LabelParams
from sc_mamba2.tasks.annotation.parents import name_parents
from sc_mamba2.tasks.annotation.rollup import Rollup, known_rollup, roll_up
from sc_mamba2.tasks.annotation.split import query_truth
from sc_mamba2.tasks.annotation.tokens import annotation_tokens
from sc_mamba2.tasks.shared.facts import output_facts, vector_columns
from sc_mamba2.tokens import TokenizedCells
from sc_mamba2.training import ComputeOptions

PROBABILITY_PREFIX = "probability:"
ENERGY = "energy"
EXPERT_PREFIX = "expert:"
LIKENESS = "likeness"
WITHOUT = ("without_backbone", "without_fine_tuned")
SET_BAR = " | "
WEIGHT_PREFIX = "weight:"


def prepare_query(
    valid_query: AnnData, checkpoint: Annotator, labels: LabelParams
) -> tuple[TokenizedCells, pd.DataFrame]:
    """Return a query's tokens for a trained model, and its own labels."""
    truth = query_truth(valid_query, checkpoint.label_key, labels)
    return annotation_tokens(valid_query, checkpoint.tokenizer, with_obs=False), truth


def call_cells(
    outputs: dict[str, np.ndarray],
    reader: Annotator,
    query_tokens: TokenizedCells,
    calling: CallParams,
    labels: LabelParams,
    compute: ComputeOptions,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return a table of calls (see `call_types`), and one of the embedding, from the model's outputs."""
    cells, threshold, farthest = query_tokens.obs.index, reader.calibration.set_threshold, np.inf
    rollup = known_rollup(labels.rollup, reader.labels, reader.rollup)
    experts = pd.DataFrame(index=cells)
    if isinstance(reader, ConsensusModel):
        outputs = reader.predict_query(query_tokens, outputs, compute.seed)
        experts = call_experts(outputs, reader.experts, reader.labels, cells)
        farthest = reader.farthest(calling.farthest_share)
    embedding = vector_columns(outputs["embedding"], cells)
    calls = call_types(
        outputs, reader.labels, cells, calling, rollup, threshold, farthest, reader.terms
    )
    calls = calls.join(experts)
    if calling.majority_vote:
        clusters = over_cluster(embedding, calling.majority_resolution, compute.seed)
        voted = majority_vote(calls[keys.CELL_TYPE], clusters, calling.majority_share)
        calls.insert(1, keys.VOTED_TYPE, voted)
    return calls, embedding


def call_types(
    outputs: dict[str, np.ndarray],
    labels: tuple[str, ...],
    cells: pd.Index,
    params: CallParams,
    rollup: Rollup | None = None,
    set_threshold: float | None = None,
    farthest: float = np.inf,
    terms: dict[str, str] | None = None,
) -> pd.DataFrame:
    """Call the best class of every cell.

    Parameters
    ----------
    outputs
        ``probability`` (N, K), rows sum to 1; optionally ``energy`` or ``distance`` (N,).
    labels
        K class names.
    cells
        N names.
    params
        Threshold below which a cell is marked unassigned.
    rollup
        Broad type of every class.
    set_threshold
        Probability at which a class is in a cell's set; ``None``: no sets.
    farthest
        Distance beyond which a cell is marked unassigned, too.
    terms
        Cell Ontology ids of the classes, for the common parent of a set.

    Returns
    -------
    DataFrame
        N rows: best class, its probability as confidence (0 to 1), the unassigned mark; if available
        energy, distance, the set and its parent, the best broad type and its probability; and one
        ``probability:<class>`` column a class.
    """
    probability_NK = outputs["probability"]
    confidence_N = probability_NK.max(axis=1)
    calls = pd.DataFrame(
        {
            keys.CELL_TYPE: np.asarray(labels, dtype=object)[probability_NK.argmax(axis=1)],
            keys.CONFIDENCE: confidence_N,
            keys.UNASSIGNED: (confidence_N < params.unassigned_below)
            | (outputs.get("distance", np.zeros(len(cells))) > farthest),
        },
        index=cells,
    )
    if "energy" in outputs:
        calls[ENERGY] = outputs["energy"]
    if "distance" in outputs:
        calls[keys.DISTANCE] = outputs["distance"]
    if set_threshold is not None:
        sets_NK = class_sets(probability_NK, set_threshold)
        calls[keys.TYPE_SET] = name_sets(sets_NK, labels)
        calls[keys.TYPE_PARENT] = name_parents(sets_NK, labels, terms or {}, rollup)
    if rollup is not None:
        calls[keys.BROAD_TYPE], calls[keys.BROAD_CONFIDENCE] = roll_up(
            probability_NK, labels, rollup
        )
    columns = [PROBABILITY_PREFIX + label for label in labels]
    return pd.concat([calls, pd.DataFrame(probability_NK, index=cells, columns=columns)], axis=1)


def name_sets(sets_NK: np.ndarray, labels: tuple[str, ...]) -> np.ndarray:
    """Join the names of each cell's set of classes with bars, (N,)."""
    distinct_JK, place_N = np.unique(sets_NK, axis=0, return_inverse=True)
    names = [
        SET_BAR.join(name for name, included in zip(labels, row, strict=True) if included)
        for row in distinct_JK
    ]
    return np.asarray(names, dtype=object)[place_N]


def call_experts(
    outputs: dict[str, np.ndarray],
    experts: tuple[str, ...],
    labels: tuple[str, ...],
    cells: pd.Index,
) -> pd.DataFrame:
    """Return the experts' calls and weights, N rows.

    ``scm_cell_type_agreement``, total weight of the experts that agree with the consensus (0 to 1);
    ``likeness`` of query and reference; ``expert:<name>``, the call of each; ``weight:<name>``, its
    weight; ``without_<experts>``, the call of the consensus without some.
    """
    columns: dict[str, np.ndarray] = {
        keys.AGREEMENT: outputs["agreement"],
        LIKENESS: outputs["likeness"],
    }
    for at, name in enumerate(experts):
        columns[EXPERT_PREFIX + name] = np.asarray(labels, dtype=object)[outputs["experts"][:, at]]
        columns[WEIGHT_PREFIX + name] = np.full(len(cells), outputs["weights"][at])
    for name in filter(outputs.__contains__, WITHOUT):
        columns[name] = np.asarray(labels, dtype=object)[outputs[name]]
    return pd.DataFrame(columns, index=cells)


def write_annotated(
    raw_query: AnnData,
    calls: pd.DataFrame,
    embedding: pd.DataFrame,
    model: Annotator,
    query_report: dict[str, Any],
    run_info: dict[str, Any],
) -> AnnData:
    """Return a copy of the user's cells with calls, probabilities, embedding and facts."""
    identity = model.sha256(), model.tokenizer.vocabulary.sha256
    facts = output_facts(run_info, query_report, *identity)
    if start := getattr(model, "start", None):
        facts["start"] = start
    return annotate(raw_query, calls, embedding, facts)


def annotate(
    raw_cells: AnnData, calls: pd.DataFrame, embedding: pd.DataFrame, facts: dict[str, Any]
) -> AnnData:
    """Return a copy of the cells in `calls`, with calls, probabilities, embedding and facts.

    `X`, the order and all keys of the user stay unchanged; the class names are added to the facts.
    """
    # Keep the user's categories and their colours, even those without a cell here.
    with settings.override(remove_unused_categories=False):
        annotated = raw_cells[raw_cells.obs_names.isin(calls.index)].copy()
    calls, embedding = calls.loc[annotated.obs_names], embedding.loc[annotated.obs_names]
    annotated.obs[keys.CELL_TYPE] = pd.Categorical(calls[keys.CELL_TYPE])
    annotated.obs[keys.CONFIDENCE] = calls[keys.CONFIDENCE].astype("float32")
    annotated.obs[keys.UNASSIGNED] = calls[keys.UNASSIGNED].astype(bool)
    for key in (keys.BROAD_TYPE, keys.VOTED_TYPE, keys.TYPE_SET, keys.TYPE_PARENT):
        if key in calls:
            annotated.obs[key] = pd.Categorical(calls[key])
    for key in (keys.BROAD_CONFIDENCE, keys.DISTANCE, keys.AGREEMENT):
        if key in calls:
            annotated.obs[key] = calls[key].astype("float32")
    if keys.AGREEMENT in calls:
        experts = calls.filter(like=EXPERT_PREFIX).astype("category")
        # Same names, but the file's index may have another type.
        experts.index = annotated.obs_names
        annotated.obsm[keys.EXPERTS] = experts.rename(
            columns=lambda n: n.removeprefix(EXPERT_PREFIX)
        )
        weights = (
            calls.filter(like=WEIGHT_PREFIX).iloc[0].rename(lambda n: n.removeprefix(WEIGHT_PREFIX))
        )
        facts = facts | {"expert_weights": {str(n): float(w) for n, w in weights.items()}}
    # An array, not a table: class names may contain slashes, which HDF5 keys must not.
    probability = calls.filter(like=PROBABILITY_PREFIX)
    annotated.obsm[keys.PROBABILITY] = probability.to_numpy(dtype=np.float32)
    annotated.obsm[keys.EMBEDDING] = embedding.to_numpy(dtype=np.float32)
    classes = [str(column).removeprefix(PROBABILITY_PREFIX) for column in probability]
    annotated.uns[keys.FACTS] = facts | {"classes": np.asarray(classes, dtype=object)}
    return annotated
