"""A fine-tuned model as a checkpoint folder."""

from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset
from kedro.utils import load_obj
from kedro_datasets._typing import JSONPreview

from sc_mamba2.datasets.kept import Kept
from sc_mamba2.datasets.previews import json_file
from sc_mamba2.errors import UserError
from sc_mamba2.model import TaskModel


class CheckpointDataset(Kept, AbstractDataset[TaskModel, TaskModel]):
    """Loads and saves a task model (see `sc_mamba2.model.saving`).

    Example
    -------
    .. code-block:: yaml

        annotation.model:
          type: sc_mamba2.datasets.CheckpointDataset
          filepath: data/06_models/annotation
          model_class: sc_mamba2.tasks.annotation.model.AnnotationModel

    Parameters
    ----------
    filepath
        The folder. ``None`` is refused on load.
    model_class
        Dotted path of the task's model class.
    metadata
        For Kedro-Viz.
    """

    def __init__(
        self, filepath: str | None, model_class: str, metadata: dict[str, Any] | None = None
    ) -> None:
        self._filepath = None if filepath is None else Path(filepath)
        self._model_class = model_class
        self.metadata = metadata

    def _read(self) -> TaskModel:
        if self._filepath is None:
            raise UserError(
                "checkpoint-folder",
                found="no checkpoint was named",
                expected="a checkpoint folder",
                mend="pass it: --params checkpoint=FOLDER",
            )
        return load_obj(self._model_class).from_pretrained(self._filepath)

    def _write(self, data: TaskModel) -> None:
        assert self._filepath is not None, "a model is written to a named folder"
        data.save_pretrained(self._filepath)

    def preview(self) -> JSONPreview:
        """Show the model's configuration."""
        assert self._filepath is not None
        return json_file(self._filepath / "config.json")

    def _exists(self) -> bool:
        return self._filepath is not None and (self._filepath / "config.json").exists()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._filepath, "model_class": self._model_class}
