"""Runs: start a Kedro session from code, record, repeat and compare runs; read the configuration.

Kedro is loaded by `session`, which runs, not by `preflight`, which checks before.
"""

import os

# Kedro's telemetry reads this variable on import; it must be off.
os.environ["KEDRO_DISABLE_TELEMETRY"] = "1"
