"""Adapt a trained model to a query that lacks some of its genes, by fitting the head to the others.

A gene that was not measured is not a gene with no expression, but an unchanged head would treat it as such.
"""

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData

from sc_mamba2.tasks.annotation.annotator import Annotator
from sc_mamba2.tasks.annotation.consensus import ConsensusModel
from sc_mamba2.tasks.annotation.model import AnnotationModel
from sc_mamba2.tasks.shared.backbone import predict
from sc_mamba2.tasks.shared.coverage import add_coverage, check_genes, with_coverage
from sc_mamba2.tasks.shared.params import PredictParams, ValidationParams
from sc_mamba2.tokens import TokenizedCells
from sc_mamba2.training import ComputeOptions


def adapt_to_query(
    model: Annotator,
    valid_query: AnnData,
    query_report: dict[str, Any],
    validation: ValidationParams,
    prediction: PredictParams,
    compute: ComputeOptions,
) -> tuple[Annotator, dict[str, Any]]:
    """Return the model adapted to the query's genes, and the report with their coverage.

    A consensus fits its experts to these genes only. The head of a network, alone or in a consensus, is fitted
    again if they have less of its weight than `HeadParams.refit_below`.

    Raises
    ------
    UserError
        Rule ``model-genes``: they have too little of the model's weight.
    """
    report = add_coverage(model, valid_query, query_report, validation)
    if isinstance(model, ConsensusModel):
        return read_genes(model, valid_query.var_names.to_numpy(), prediction, compute), report
    assert isinstance(model, AnnotationModel)
    if report["coverage"]["weight_share"] >= model.head.refit_below or not len(model.kept_cells()):
        return model, report
    found = report["coverage"]
    words = f"{found['words']}; its head was refitted to these genes on {len(model.kept_cells()):,} cells"
    report = with_coverage(query_report, found | {"words": words, "refitted": True})
    return fit_to_genes(model, valid_query.var_names.to_numpy(), prediction, compute), report


def read_genes(
    model: ConsensusModel, gene_ids: np.ndarray, prediction: PredictParams, compute: ComputeOptions
) -> ConsensusModel:
    """Return a consensus whose experts read only these genes; it shares the cells of `model`."""
    vocabulary = model.tokenizer.vocabulary
    rows = vocabulary.rows_of(gene_ids)
    reader = copy.copy(model)
    reader.measured_V = model.measured_V & np.isin(np.arange(vocabulary.size), rows)
    kept = model.kept_cells()
    if model.pretrained and not reader.measured_V[vocabulary.gene_rows].all():
        measured = kept.keep(reader.measured_V[kept.gene_rows])
        reader._buffers = dict(model._buffers)
        reader.keep_states(predict(model, measured, prediction, compute)["embedding"])
    if (network := model.network) is not None:
        read, known = model.learner_tokens(kept), network.tokenizer.vocabulary
        met = check_genes(known, network.gene_weights(read), pd.Index(gene_ids), floor=0.0)
        if met["weight_share"] < model.head.refit_below:
            fitted = fit_to_genes(network, gene_ids, prediction, compute, read)
            reader._modules = {**model._modules, "network": fitted}
    return reader


def fit_to_genes(
    model: AnnotationModel,
    gene_ids: np.ndarray,
    prediction: PredictParams,
    compute: ComputeOptions,
    kept: TokenizedCells | None = None,
) -> AnnotationModel:
    """Fit a model's head to some of its genes, on its kept cells or on `kept`; the backbone is unchanged.

    The other genes are removed from the kept cells, which are normalised again. A head that fits itself is
    fitted in the same way; one trained with the backbone becomes a logistic regression on its paths' inputs.
    """
    kept, vocabulary = kept or model.kept_cells(), model.tokenizer.vocabulary
    left = kept.keep(np.isin(kept.gene_rows, vocabulary.rows_of(gene_ids)))
    # A file without these genes is normalised over the others, so its values are higher.
    share = np.expm1(left.values).sum() / np.expm1(kept.values).sum()
    if share > 0:
        left = replace(left, values=np.log1p(np.expm1(left.values) / share))
    head = model.head
    if not model.is_fitted_directly:
        head = head.model_copy(update={"fit": "linear"})
    fitted = AnnotationModel(
        copy.deepcopy(model.backbone),
        model.tokenizer,
        model.labels,
        model.class_weights,
        head,
        model.label_key,
        model.rollup,
    )
    if "pooled" in head.paths:
        fitted.pooled_norm.load_state_dict(model.pooled_norm.state_dict())
    fitted.fit_directly([(left, predict(fitted, left, prediction, compute))], compute.seed)
    return fitted.cpu().eval()
