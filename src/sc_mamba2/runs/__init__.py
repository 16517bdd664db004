"""Runs: start a Kedro session from code, keep its record, repeat and compare; the shipped configuration."""

import logging
import os

# Kedro's telemetry asks for this variable when it is imported; nothing is to be sent anywhere.
os.environ["KEDRO_DISABLE_TELEMETRY"] = "1"

# Kedro says on import where its logging is configured: not what a user of `scm` asked.
_before = logging.root.manager.disable
logging.disable(max(_before, logging.INFO))
import kedro.framework.project  # noqa: E402, F401

logging.disable(_before)
