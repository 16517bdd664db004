"""Kedro-Viz shows a layer for every file of the catalog."""

from pathlib import Path

import pytest
import yaml

CATALOG = Path(__file__).parents[2] / "conf" / "base" / "catalog"
LAYERS = {
    *("raw", "intermediate", "primary", "feature"),
    *("model_input", "models", "model_output", "reporting"),
}


@pytest.mark.parametrize("page", sorted(CATALOG.glob("*.yml")), ids=lambda page: page.stem)
def test_every_persisted_entry_has_a_layer(page):
    entries = yaml.safe_load(page.read_text("utf-8"))
    kept = {
        name: entry
        for name, entry in entries.items()
        if not name.startswith("_") and entry["type"] != "MemoryDataset"
    }
    assert kept
    for name, entry in kept.items():
        assert entry.get("metadata", {}).get("kedro-viz", {}).get("layer") in LAYERS, name
