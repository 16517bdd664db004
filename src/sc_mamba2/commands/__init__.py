"""The command `scm`, one file per verb. Nothing heavy is imported before a verb is called."""

from sc_mamba2.commands.app import app

__all__ = ["app"]
