"""Runs: start a Kedro session from code, its lock, its facts, the configuration that ships with us."""
