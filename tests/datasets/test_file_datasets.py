"""JSON, text, tables and figures as catalog entries: whole or not there."""

import pandas as pd
import pytest
from kedro.io import DatasetError

from sc_mamba2.datasets import (
    CSVDataset,
    FiguresDataset,
    JSONDataset,
    ParquetDataset,
    TextDataset,
)
from sc_mamba2.reporting import new_figure
from sc_mamba2.reporting.pictures import as_png

TABLE = pd.DataFrame({"metric": ["accuracy"], "value": [0.5]})
CASES = [
    (JSONDataset, "metrics.json", {"model": {"accuracy": 0.5}}, {"broken": object()}),
    (TextDataset, "report.html", "<p>größer</p>", 7),
    (CSVDataset, "history.csv", TABLE, 7),
    (ParquetDataset, "table.parquet", TABLE, pd.DataFrame({"mixed": [1, "a", object()]})),
]


@pytest.mark.parametrize(("kind", "name", "data", "_"), CASES)
def test_roundtrip_and_exists(kind, name, data, _, tmp_path):
    dataset = kind(filepath=str(tmp_path / "deep" / name))
    assert dataset.filepath == tmp_path / "deep" / name and not dataset.exists()
    dataset.save(data)
    assert dataset.exists()
    read = kind(filepath=str(dataset.filepath)).load()
    assert read.equals(data) if isinstance(data, pd.DataFrame) else read == data
    assert [path.name for path in (tmp_path / "deep").iterdir()] == [name]


@pytest.mark.parametrize(("kind", "name", "data", "broken"), CASES)
def test_a_failing_save_leaves_the_old_file(kind, name, data, broken, tmp_path):
    dataset = kind(filepath=str(tmp_path / name))
    dataset.save(data)
    before = (tmp_path / name).read_bytes()
    with pytest.raises(DatasetError):
        dataset.save(broken)
    assert (tmp_path / name).read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == [name]
    dataset.save(data)  # the path is set back after the failure
    assert dataset.load() is not None


def drawn(values):
    figure, (axes,) = new_figure(width=2, height=2)
    axes.plot(values)
    return as_png(figure)


def test_figures_come_back_as_pictures_in_their_order(tmp_path):
    dataset = FiguresDataset(str(tmp_path / "figures"))
    assert not dataset.exists()
    dataset.save({"zebra": drawn([1, 2]), "a_b": drawn([2, 1])})
    assert dataset.exists()
    pictures = dataset.load()
    assert list(pictures) == ["zebra", "a_b"]
    assert all(picture.startswith(b"\x89PNG") for picture in pictures.values())
    assert pictures["zebra"] != pictures["a_b"]


def test_equal_figures_are_equal_files(tmp_path):
    for name in ("one", "two"):
        FiguresDataset(str(tmp_path / name)).save({"line": drawn([1, 2, 3])})
    one, two = ((tmp_path / name / "01_line.png").read_bytes() for name in ("one", "two"))
    assert one == two


def test_figures_are_replaced_whole_or_not_at_all(tmp_path):
    dataset = FiguresDataset(str(tmp_path / "figures"))
    dataset.save({"first": drawn([1, 2]), "second": drawn([1, 2])})
    before = dataset.load()
    with pytest.raises(DatasetError):
        dataset.save({"third": drawn([1]), "broken": None})
    assert dataset.load() == before
    dataset.save({"third": drawn([1, 2])})
    assert list(dataset.load()) == ["third"]
    assert [path.name for path in tmp_path.iterdir()] == ["figures"]
