"""The Kedro pipelines, one module per task; `registry` lists them all by name."""
