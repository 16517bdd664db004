"""Kedro's settings: hooks and the configuration loader."""

from sc_mamba2.runs.configuration import CONFIG_LOADER
from sc_mamba2.runs.hooks import RunHook
from sc_mamba2.runs.steps import StepsHook

HOOKS = (RunHook(), StepsHook())
CONFIG_LOADER_ARGS = CONFIG_LOADER
DISABLE_HOOKS_FOR_PLUGINS = ("kedro-telemetry",)  # no telemetry
