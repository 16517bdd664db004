"""The command `scm`, one file per verb. Nothing heavy is imported before a verb is called."""

import os

# Before torch is imported: by default its threads spin while they wait for each other, and take CPU time from
# whatever else runs.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from sc_mamba2.commands.app import app

__all__ = ["app"]
