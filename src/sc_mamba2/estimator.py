"""`Model`: one object to train, save, load and predict with, for users of scvi-tools.

It calls the same functions as `tl`; a saved model is a checkpoint folder, as `--checkpoint` takes.
"""

from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from anndata import AnnData

from sc_mamba2.cells import keys
from sc_mamba2.errors import UserError
from sc_mamba2.model import TaskModel, read_checkpoint
from sc_mamba2.tasks.annotation.annotator import Annotator
from sc_mamba2.tasks.batch_correction.model import BatchCorrectionModel
from sc_mamba2.tasks.shared.parameters import build_parameters
from sc_mamba2.tl import annotation, batch_correction
from sc_mamba2.tl.shared import Changes, Groups, trained_model, valid_cells
from sc_mamba2.training.machine import restored_random_state

__all__ = ["Model"]

_CLASSES: dict[str, type[TaskModel]] = {
    "annotation": Annotator,  # type: ignore[type-abstract]
    "batch_correction": BatchCorrectionModel,
}
_TOOLS: dict[str, Any] = {"annotation": annotation, "batch_correction": batch_correction}
# Batch correction uses labels only for scores, which are not computed here.
_UNSCORED: dict[str, Changes] = {
    "annotation": {},
    "batch_correction": {"batch_correction.keys.label_key": None},
}
_EMBEDDINGS = {"annotation": keys.EMBEDDING, "batch_correction": keys.CORRECTED}


class Model:
    """A model that predicts cell types, like SCANVI, or corrects batch effects, like SCVI.

    Parameters
    ----------
    adata
        Training cells; not modified.
    label_key
        Column of `obs` with cell types, for a model that predicts them.
    batch_key
        Column of `obs` with batches, for a model that corrects them.
    layer
        Layer with the expression; by default the first usable matrix.
    start
        Checkpoint from which training starts.
    device
        ``auto``, ``cpu`` or ``cuda``.
    seed
        Seed of all random numbers.
    params
        More parameters of `conf/base/parameters`, by dotted name.

    Raises
    ------
    UserError
        Rule ``options``: both columns are named, or neither.

    Examples
    --------
    >>> import sc_mamba2 as scm
    >>> from sc_mamba2.cells import simulate_cells
    >>> cells = simulate_cells(cells=60)
    >>> model = scm.Model(cells, label_key="cell_type")
    >>> model.train(max_epochs=2)
    >>> list(model.history["epoch"])
    [1, 2]
    >>> model.predict(simulate_cells(cells=5, seed=1)).shape
    (5,)
    """

    def __init__(
        self,
        adata: AnnData,
        *,
        label_key: str | None = None,
        batch_key: str | None = None,
        layer: str | None = None,
        start: str | None = None,
        device: str | None = None,
        seed: int | None = None,
        params: Changes | None = None,
    ) -> None:
        if (label_key is None) == (batch_key is None):
            raise UserError(
                "options",
                found="both label_key and batch_key" if label_key else "no column of obs",
                expected="label_key, to predict cell types, or batch_key, to remove batch effects",
                mend="give one of them",
            )
        self.task = "annotation" if batch_key is None else "batch_correction"
        self.module: TaskModel | None = None
        self.history = pd.DataFrame()
        self._adata: AnnData | None = adata
        key = "annotation.labels.key" if label_key else "batch_correction.keys.batch_key"
        own = {
            key: label_key or batch_key,
            f"{self.task}.backbone.checkpoint": start,
            "tokenization.vocabulary": start,
            "ingestion.layer": layer,
            "compute.device": device,
            "compute.seed": seed,
        }
        self._changes: Changes = {**_UNSCORED[self.task], **_given(own), **(params or {})}

    def train(
        self,
        max_epochs: int | None = None,
        *,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        max_length: int | None = None,
        params: Changes | None = None,
    ) -> None:
        """Train from scratch; afterwards `history` has one row per epoch.

        A cell type model is a consensus of methods fitted without epochs, unless a training option is
        given: then a network joins them (``annotation.head.fit="gradient"``).

        Parameters
        ----------
        max_epochs
            Maximum number of epochs; the best one on the validation cells is kept.
        batch_size
            Cells per step.
        learning_rate
            Peak learning rate of AdamW.
        max_length
            Maximum number of tokens per cell.
        params
            More parameters, by dotted name.

        Raises
        ------
        UserError
            As the command raises, or a loaded model has no training cells.
        """
        own: dict[str, Any] = {
            f"{self.task}.fine_tune.max_epochs": max_epochs,
            f"{self.task}.fine_tune.batch_size": batch_size,
            f"{self.task}.fine_tune.learning_rate": learning_rate,
            "tokenization.max_length": max_length,
        }
        if self.task == "annotation" and _given(own):  # only networks have epochs, rates
            own["annotation.head.fit"] = "gradient"
        groups = self._groups({**_given(own), **(params or {})})
        with restored_random_state():
            valid = valid_cells(self._cells(None), groups).valid
            if self.task == "annotation":  # train on all labelled cells, hold out none
                self.module, self.history = annotation.train(valid, valid, groups)
            else:
                self.module, self.history, _ = batch_correction.train(valid, groups)

    def get_latent_representation(self, adata: AnnData | None = None) -> np.ndarray:
        """Return the embedding of every cell, (N, D) float32.

        Parameters
        ----------
        adata
            N cells; by default the training cells.
        """
        return np.asarray(self._apply(adata).obsm[_EMBEDDINGS[self.task]])

    def predict(self, adata: AnnData | None = None, *, soft: bool = False) -> Any:
        """Predict the type of every cell.

        Parameters
        ----------
        adata
            N cells; by default the training cells.
        soft
            Whether to return probabilities, as a table with one column per type.

        Returns
        -------
        ndarray or DataFrame
            (N,) types, or (N, K) probabilities.

        Raises
        ------
        UserError
            Rule ``options``: the model corrects batches and predicts no types.
        """
        if self.task != "annotation":
            raise UserError(
                "options",
                found="predict of a model that removes batch effects",
                expected="a model that predicts cell types",
                mend="create it with label_key=…",
            )
        applied = self._apply(adata)
        if soft:
            classes = applied.uns[keys.FACTS]["classes"]
            return pd.DataFrame(applied.obsm[keys.PROBABILITY], applied.obs_names, classes)
        return applied.obs[keys.CELL_TYPE].to_numpy(str)

    def save(self, folder: str | Path) -> None:
        """Save the model as a checkpoint folder, in the format of the commands.

        Raises
        ------
        UserError
            Rule ``model-untrained``.
        """
        self._trained().save_pretrained(folder)

    @classmethod
    def load(cls, folder: str | Path, adata: AnnData | None = None) -> Self:
        """Load a model that `save`, `tl` or a command saved.

        Parameters
        ----------
        folder
            A checkpoint folder of annotation or batch correction.
        adata
            Default cells for the methods that take cells.

        Raises
        ------
        UserError
            The folder is broken, or of another task (`checkpoint-task`).
        """
        task = read_checkpoint(folder).config.get("task")
        if task not in _CLASSES:
            raise UserError(
                "checkpoint-task",
                found=f"a checkpoint of the task '{task}' in '{folder}'",
                expected=f"one of the tasks {', '.join(_CLASSES)}",
                mend="use it with the tool of its task: sc_mamba2.tl",
            )
        model = cls.__new__(cls)
        model.task, model.module = task, _CLASSES[task].from_pretrained(folder)
        model.history, model._adata = pd.DataFrame(), adata
        model._changes = _UNSCORED[task]
        return model

    def _apply(self, adata: AnnData | None) -> AnnData:
        groups = self._groups({})
        with restored_random_state():
            cells = valid_cells(self._cells(adata), groups)
            model = trained_model(self._trained(), _CLASSES[self.task])
            applied: AnnData = _TOOLS[self.task].apply(model, cells, groups, "Model")
        return applied

    def _groups(self, changes: Changes) -> Groups:
        return build_parameters(_TOOLS[self.task].GROUPS, {**self._changes, **changes})

    def _cells(self, adata: AnnData | None) -> AnnData:
        cells = self._adata if adata is None else adata
        if cells is None:
            raise UserError(
                "options",
                found="a loaded model without cells",
                expected="cells to read",
                mend="pass them to the call, or to Model.load(folder, adata)",
            )
        return cells

    def _trained(self) -> TaskModel:
        if self.module is None:
            raise UserError(
                "model-untrained",
                found="a model that is not trained yet",
                expected="a trained model",
                mend="call train(), or Model.load(folder)",
            )
        return self.module


def _given(values: Changes) -> Changes:
    return {name: value for name, value in values.items() if value is not None}
