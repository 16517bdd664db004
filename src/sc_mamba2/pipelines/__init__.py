"""The Kedro pipelines, a folder each. Which ones run together stands in `composite`."""
