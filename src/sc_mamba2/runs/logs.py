"""What Kedro says while it runs under `scm`: its progress, not its second telling of an error."""

import logging
import warnings

_TOLD_TWICE = (
    "failed with error",
    "You can resume the pipeline run",
    "No nodes ran",
    "Parameter '",
)


class _OnceOnly(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        return not any(words in record.getMessage() for words in _TOLD_TWICE)


def set_logging(verbose: bool) -> None:
    """Let Kedro log its nodes (`verbose`) or only what went wrong; errors are told once, by us."""
    from kedro.framework.project import LOGGING  # noqa: F401  (imports Kedro's own configuration)

    # Datasets of another namespace (reference.valid_cells) are meant; Kedro takes them for a slip.
    warnings.filterwarnings("ignore", message="One or more dataset names contain")
    logging.getLogger("kedro").setLevel(logging.INFO if verbose else logging.ERROR)
    logging.getLogger("sc_mamba2").setLevel(logging.INFO if verbose else logging.WARNING)
    for handler in logging.getLogger().handlers:
        if not any(isinstance(old, _OnceOnly) for old in handler.filters):
            handler.addFilter(_OnceOnly())
