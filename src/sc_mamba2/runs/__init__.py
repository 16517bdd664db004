"""Runs: start a Kedro session from code, keep its record, repeat and compare; the shipped configuration.

Kedro is loaded by what runs (`session`), not by what is refused before (`preflight`).
"""

import os

# Kedro's telemetry asks for this variable when it is imported; nothing is to be sent anywhere.
os.environ["KEDRO_DISABLE_TELEMETRY"] = "1"
