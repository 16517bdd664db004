"""Kedro looks here for hooks and the way configuration is loaded."""

from sc_mamba2.runs.hooks import RunInfoHook

HOOKS = (RunInfoHook(),)
CONFIG_LOADER_ARGS = {"base_env": "base", "default_run_env": "local"}
