"""What each part of the model is worth: variants trained in the same way, on the same split."""

import copy

import pandas as pd

from sc_mamba2.cells import keys
from sc_mamba2.model import Backbone
from sc_mamba2.tasks.annotation.model import AnnotationModel
from sc_mamba2.tasks.annotation.params import AblationParams, CallParams, Path
from sc_mamba2.tasks.annotation.predict import call_types
from sc_mamba2.tasks.shared.backbone import fine_tune, predict
from sc_mamba2.tasks.shared.params import FineTuneParams, PredictParams
from sc_mamba2.tokens import TokenizedCells
from sc_mamba2.training import ComputeOptions, seed_everything

_PATHS: dict[str, tuple[Path, ...]] = {
    "readout_alone": ("readout",),
    "pooled_alone": ("pooled",),
    "trunk_alone": ("trunk",),
}


def variant(
    name: str, backbone: Backbone, model: AnnotationModel, params: FineTuneParams, seed: int
) -> tuple[AnnotationModel, FineTuneParams]:
    """Make one variant of a model, untrained.

    Parameters
    ----------
    name
        ``readout_alone``, ``pooled_alone``, ``trunk_alone``, or ``trunk_frozen``: all paths of the
        model with the Mamba2 layers left as they started; and with all of the backbone, where the
        fine-tuning does not train it in full.
    backbone
        The backbone before any training; it is copied.
    model
        The model whose labels, weights of classes and head are taken.
    params
        Its fine-tuning.
    seed
        Seed of the new head.

    Returns
    -------
    model, params
        The variant and its fine-tuning.
    """
    seed_everything(seed)
    head = model.head
    start = copy.deepcopy(backbone)
    if name != "trunk_frozen":
        head = head.model_copy(update={"paths": _PATHS[name]})
    elif params.mode == "full":
        start.layers.requires_grad_(False)
    else:
        params = FineTuneParams(**params.model_dump() | {"mode": "frozen"})
    parts = (model.labels, model.class_weights, head, model.label_key)
    return AnnotationModel(start, model.tokenizer, *parts), params


def run_ablations(
    backbone: Backbone,
    model: AnnotationModel,
    training_tokens: TokenizedCells,
    validation_tokens: TokenizedCells,
    query_tokens: TokenizedCells,
    fine_tuning: FineTuneParams,
    prediction: PredictParams,
    params: AblationParams,
    compute: ComputeOptions,
) -> pd.DataFrame:
    """Train every variant and predict the query with it.

    Returns
    -------
    DataFrame
        One row a query cell, one column a variant, values are class names.
    """
    calls = pd.DataFrame(index=query_tokens.obs.index)
    # A head that fits itself leaves the backbone as it is: a frozen one is no other model.
    names = [name for name in params.names if name != "trunk_frozen" or not model.fits_itself]
    for name in names:
        untrained, options = variant(name, backbone, model, fine_tuning, compute.seed)
        trained, _ = fine_tune(untrained, training_tokens, validation_tokens, options, compute)
        outputs = predict(trained, query_tokens, prediction, compute)
        table = call_types(outputs, model.labels, calls.index, CallParams())
        calls[name] = table[keys.CELL_TYPE]
    return calls
