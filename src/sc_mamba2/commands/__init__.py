"""The command `scm`: one file a verb. Nothing heavy is imported before a verb is called."""

from sc_mamba2.commands.app import app

__all__ = ["app"]
