"""Runs: start a Kedro session from code, its lock and facts, the configuration that ships with us."""

import os

# Kedro's telemetry asks for this variable when it is imported; nothing is to be sent anywhere.
os.environ["KEDRO_DISABLE_TELEMETRY"] = "1"
