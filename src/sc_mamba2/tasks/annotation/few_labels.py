"""Start a consensus from a pretrained checkpoint if labels are few."""

import logging

import numpy as np
from anndata import AnnData

from sc_mamba2.errors import UserError
from sc_mamba2.tasks.annotation.annotator import LABEL
from sc_mamba2.tasks.annotation.params import OF_BACKBONE, ConsensusParams, HeadParams
from sc_mamba2.tasks.shared.checkpoint_backbone import check_start
from sc_mamba2.tasks.shared.coverage import RULE
from sc_mamba2.tasks.shared.messages import NOTE
from sc_mamba2.tasks.shared.params import BackboneParams, TokenizationParams

_log = logging.getLogger(__name__)


def start_for_few_labels(
    training_cells: AnnData,
    query_cells: AnnData,
    tokenization: TokenizationParams,
    backbone: BackboneParams,
    head: HeadParams,
    consensus: ConsensusParams,
) -> tuple[TokenizationParams, BackboneParams]:
    """Return the parameters with `ConsensusParams.few_labels_start` as the checkpoint, if it applies.

    It applies only to the default consensus (no checkpoint, custom vocabulary, sums or network), if there are at
    most `few_labels` cells per type on average and the genes of both files cover enough of its weight.
    """
    start = consensus.few_labels_start
    plain = head.fit == "consensus" and head.keeps == "cells" and backbone.checkpoint is None
    plain &= tokenization.vocabulary == TokenizationParams().vocabulary
    plain &= not set(consensus.experts).isdisjoint(OF_BACKBONE)
    if not plain or training_cells.obs[LABEL].value_counts().mean() > consensus.few_labels:
        return tokenization, backbone
    shared = training_cells.var_names[np.isin(training_cells.var_names, query_cells.var_names)]
    try:
        check_start(start, shared, consensus.few_labels_share)
    except UserError as error:
        if error.rule != RULE:
            raise
        _log.warning("Labels are few, but %s cannot help: %s.", start, error.found)
        return tokenization, backbone
    _log.log(
        NOTE,
        "Labels are few: one method of the consensus starts from %s (annotation.consensus.few_labels=0: none).",
        start,
    )
    return (
        tokenization.model_copy(update={"vocabulary": start}),
        backbone.model_copy(update={"checkpoint": start, "minimum_share": 0.0}),
    )
