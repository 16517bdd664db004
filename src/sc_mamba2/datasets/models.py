"""Parts of a model as catalog entries: tokenizer, tokens, checkpoint, index of cells."""

import json
from typing import Any, ClassVar

from kedro.utils import load_obj
from kedro_datasets._typing import JSONPreview

from sc_mamba2.datasets.base import FileDataset, Kept
from sc_mamba2.files import atomic_file
from sc_mamba2.model import TaskModel
from sc_mamba2.tasks.embedding.index import FACTS, ReferenceIndex
from sc_mamba2.tokens import TokenizedCells, Tokenizer, load_tokens, save_tokens


class TokenizerDataset(FileDataset):
    """Load and save a tokenizer as a JSON file.

    .. code-block:: yaml

        annotation.tokenizer:
          type: sc_mamba2.datasets.TokenizerDataset
          filepath: data/04_feature/annotation/tokenizer.json
    """

    def load(self) -> Tokenizer:
        """Read the file."""
        return Tokenizer.from_json(self._path.read_text(encoding="utf-8"))

    def save(self, data: Tokenizer) -> None:
        """Write the file."""
        with atomic_file(self._path) as draft:
            draft.write_text(data.to_json(), encoding="utf-8")


class TokensDataset(Kept, FileDataset):
    """Load and save tokenised cells as a folder (see `sc_mamba2.tokens.tokenized`).

    .. code-block:: yaml

        reference.tokens:
          type: sc_mamba2.datasets.TokensDataset
          filepath: data/05_model_input/reference/tokens
    """

    inside = "tokens.safetensors"

    def _read(self) -> TokenizedCells:
        return load_tokens(self._path)

    def _write(self, data: TokenizedCells) -> None:
        save_tokens(data, self._path)


class _FolderWithFacts(FileDataset):
    """A folder whose identifying JSON file is shown in Kedro-Viz."""

    def preview(self) -> JSONPreview:
        """Show the facts."""
        facts = json.loads((self._path / self.inside).read_text(encoding="utf-8"))
        return JSONPreview(json.dumps(facts))


class CheckpointDataset(Kept, _FolderWithFacts):
    """Load and save a task model as a checkpoint folder (see `sc_mamba2.model.saving`).

    .. code-block:: yaml

        annotation.model:
          type: sc_mamba2.datasets.CheckpointDataset
          filepath: data/06_models/annotation
          model_class: sc_mamba2.tasks.annotation.annotator.Annotator

    Parameters
    ----------
    filepath
        The folder. ``None`` is refused on load.
    model_class
        Dotted path of the task's model class.
    metadata
        For Kedro-Viz.
    """

    inside = "config.json"
    unnamed: ClassVar = {
        "rule": "checkpoint-folder",
        "found": "no checkpoint was given",
        "expected": "a checkpoint folder",
        "mend": "pass it: --params checkpoint=FOLDER",
    }

    def __init__(
        self, filepath: str | None, model_class: str, metadata: dict[str, Any] | None = None
    ) -> None:
        super().__init__(filepath, metadata)
        self._model_class = model_class

    def _read(self) -> TaskModel:
        return load_obj(self._model_class).from_pretrained(self._path)

    def _write(self, data: TaskModel) -> None:
        data.save_pretrained(self._path)

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._filepath, "model_class": self._model_class}


class IndexDataset(_FolderWithFacts):
    """Load and save an index of labelled, embedded cells as a folder.

    .. code-block:: yaml

        embedding.index:
          type: sc_mamba2.datasets.IndexDataset
          filepath: data/06_models/embedding/index
    """

    inside = FACTS
    unnamed: ClassVar = {
        "rule": "index-folder",
        "found": "no index was given",
        "expected": "a folder written by scm index",
        "mend": "pass it: --params index=FOLDER",
    }

    def load(self) -> ReferenceIndex:
        """Read the folder."""
        return ReferenceIndex.load(self._path)

    def save(self, data: ReferenceIndex) -> None:
        """Write the folder."""
        data.save(self._path)
