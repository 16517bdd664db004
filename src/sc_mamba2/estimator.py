"""`Model`: one object to train, save, load and predict with, for those who come from scvi-tools.

It calls what `tl` calls; a saved model is the checkpoint folder that `--checkpoint` takes.
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
from sc_mamba2.training.machine import chance_as_found

__all__ = ["Model"]

_CLASSES: dict[str, type[TaskModel]] = {
    "annotation": Annotator,  # type: ignore[type-abstract]
    "batch_correction": BatchCorrectionModel,
}
_TOOLS: dict[str, Any] = {"annotation": annotation, "batch_correction": batch_correction}
# Labels of a batch correction are for scores; none are computed here.
_UNSCORED: dict[str, Changes] = {
    "annotation": {},
    "batch_correction": {"batch_correction.keys.label_key": None},
}
_EMBEDDINGS = {"annotation": keys.EMBEDDING, "batch_correction": keys.CORRECTED}


class Model:
    """A model of cells: it tells their types, as SCANVI, or takes out their batches, as SCVI.

    Parameters
    ----------
    adata
        Cells to learn from; they stay as they are.
    label_key
        Column of `obs` with cell types, for a model that tells them.
    batch_key
        Column of `obs` with batches, for a model that takes them out.
    layer
        Layer with the expression; else the first usable matrix.
    start
        Checkpoint that the training begins with.
    device
        ``auto``, ``cpu`` or ``cuda``.
    seed
        Seed of every source of chance.
    params
        More parameters of `conf/base/parameters`, by dotted name.

    Raises
    ------
    UserError
        Rule ``options``: not exactly one of the two columns is named.

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
        """Train from the start; `history` has a row an epoch afterwards.

        A model of types is a consensus of methods fitted at once, without epochs, unless one of the
        options of training is named: then a network joins them (``annotation.head.fit="gradient"``).

        Parameters
        ----------
        max_epochs
            Epochs at most; validation cells choose the one that is kept.
        batch_size
            Cells a step.
        learning_rate
            Highest rate of AdamW.
        max_length
            Tokens a cell at most.
        params
            More parameters, by dotted name.

        Raises
        ------
        UserError
            Everything that the verb refuses; or a model that was loaded has no cells to learn from.
        """
        own: dict[str, Any] = {
            f"{self.task}.fine_tune.max_epochs": max_epochs,
            f"{self.task}.fine_tune.batch_size": batch_size,
            f"{self.task}.fine_tune.learning_rate": learning_rate,
            "tokenization.max_length": max_length,
        }
        if self.task == "annotation" and _given(own):  # epochs and rates are of a network
            own["annotation.head.fit"] = "gradient"
        groups = self._groups({**_given(own), **(params or {})})
        with chance_as_found():
            valid = valid_cells(self._cells(None), groups).valid
            if self.task == "annotation":  # learn from all labelled cells, hold out none
                self.module, self.history = annotation.train(valid, valid, groups)
            else:
                self.module, self.history, _ = batch_correction.train(valid, groups)

    def get_latent_representation(self, adata: AnnData | None = None) -> np.ndarray:
        """Return the embedding of every cell, (N, D) float32.

        Parameters
        ----------
        adata
            N cells; else those that were learnt from.
        """
        return np.asarray(self._apply(adata).obsm[_EMBEDDINGS[self.task]])

    def predict(self, adata: AnnData | None = None, *, soft: bool = False) -> Any:
        """Return the type of every cell.

        Parameters
        ----------
        adata
            N cells; else those that were learnt from.
        soft
            Whether probabilities are returned, a table with a column a type.

        Returns
        -------
        ndarray or DataFrame
            (N,) types, or (N, K) probabilities.

        Raises
        ------
        UserError
            Rule ``options``: the model takes batches out and knows no types.
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
        """Write the model as a checkpoint folder, as the verbs write and read it.

        Raises
        ------
        UserError
            Rule ``model-untrained``.
        """
        self._trained().save_pretrained(folder)

    @classmethod
    def load(cls, folder: str | Path, adata: AnnData | None = None) -> Self:
        """Read a model that `save`, `tl` or a verb wrote.

        Parameters
        ----------
        folder
            A checkpoint folder of `scm annotate` or `scm integrate`.
        adata
            Cells that are meant where none are given.

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
        with chance_as_found():
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
