"""What Kedro says while it runs under `scm`: its progress, not its second telling of an error."""

import logging
import warnings

from rich.console import Console
from rich.logging import RichHandler

_TOLD_TWICE = (
    "failed with error",
    "You can resume the pipeline run",
    "No nodes ran",
    "Parameter '",
)
# kedro-viz says of every run outside a project that it is outside a project.
_levels = {"kedro": logging.INFO, "sc_mamba2": logging.INFO, "kedro_viz": logging.ERROR}


def set_logging(verbose: bool) -> None:
    """Let the runs that follow log their nodes (`verbose`), or only what went wrong."""
    _levels["kedro"] = logging.INFO if verbose else logging.ERROR
    _levels["sc_mamba2"] = logging.INFO if verbose else logging.WARNING
    apply_logging()


def apply_logging() -> None:
    """Set the chosen levels; Kedro sets its own whenever it looks at a project, so this comes after."""
    # Datasets of another namespace (reference.valid_cells) are meant; Kedro takes them for a slip.
    warnings.filterwarnings("ignore", message="One or more dataset names contain")
    for name, level in _levels.items():
        logging.getLogger(name).setLevel(level)
    for handler in logging.getLogger().handlers:
        if isinstance(handler, RichHandler):
            handler.console = Console(stderr=True)  # stdout is for results
        if not any(isinstance(old, _OnceOnly) for old in handler.filters):
            handler.addFilter(_OnceOnly())


class _OnceOnly(logging.Filter):
    """Drops what Kedro says of an error; the command tells it once, in its own words."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not any(words in record.getMessage() for words in _TOLD_TWICE)
