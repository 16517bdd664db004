"""A run reads each source, and a trained model, once."""

from collections import Counter
from pathlib import Path

import pytest
from tests.checkpoints import write_random_checkpoint
from typer.testing import CliRunner

from sc_mamba2.cells import simulate_cells
from sc_mamba2.commands import app
from sc_mamba2.datasets.base import Kept

SHORT = "annotation.fine_tune.max_epochs=1,annotation.baselines.regularisation=[1.0]"


@pytest.fixture
def reads(monkeypatch) -> Counter:
    """Count what is read from a disk by dataset: whatever asks for it again gets what is there."""
    counted: Counter = Counter()
    load = Kept.load

    def counting(self):
        if self._held is None:
            place = getattr(self, "source", None) or self.filepath
            counted[Path(str(place)).name] += 1
        return load(self)

    monkeypatch.setattr(Kept, "load", counting)
    for kind in Kept.__subclasses__():  # kedro has wrapped the method that it found in each
        monkeypatch.setattr(kind, "load", counting)
    return counted


def annotate(folder: Path, *words: object) -> None:
    result = CliRunner().invoke(app, ["annotate", *map(str, words)])
    assert result.exit_code == 0, result.output


@pytest.mark.slow
def test_an_annotation_reads_its_files_and_its_checkpoint_once(tmp_path: Path, reads: Counter):
    query, reference, out = (tmp_path / name for name in ("q.h5ad", "r.h5ad", "out.h5ad"))
    simulate_cells(40).write_h5ad(query)
    simulate_cells(60, seed=1).write_h5ad(reference)
    write_random_checkpoint(tmp_path / "pretrained")
    annotate(tmp_path, query, "-r", reference, "-k", "cell_type", "-o", out, "--params", SHORT)
    assert reads == {"q.h5ad": 1, "r.h5ad": 1}

    reads.clear()
    trained = tmp_path / "out.scm" / "checkpoint"
    annotate(tmp_path, query, "-c", trained, "-o", tmp_path / "again.h5ad")
    assert reads == {"q.h5ad": 1, "checkpoint": 1}
