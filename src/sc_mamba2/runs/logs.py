"""What Kedro logs while it runs under `scm`: its progress, and no error a second time."""

import logging
import warnings

from rich.console import Console
from rich.logging import RichHandler

from sc_mamba2.tasks.shared.hearing import NOTE

# Of an error, which the command shows once, in its own words.
_REPEATED = ("failed with error", "You can resume the pipeline run", "No nodes ran", "Parameter '")
# kedro-viz says of every run outside a project that it is outside a project.
logging.addLevelName(NOTE, "NOTE")
_levels = {
    "kedro": logging.INFO,
    "sc_mamba2": logging.INFO,
    "kedro_viz": logging.ERROR,
    "py.warnings": logging.WARNING,
}


def set_logging(verbose: bool) -> None:
    """Let the runs that follow log their nodes (`verbose`), or only what went wrong."""
    _levels["kedro"] = logging.INFO if verbose else logging.ERROR
    _levels["sc_mamba2"] = logging.INFO if verbose else NOTE
    # What a library says to developers is for those who want to see everything.
    _levels["py.warnings"] = logging.WARNING if verbose else logging.ERROR
    logging.captureWarnings(True)
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
        handler.addFilter(_is_new)  # which does nothing where it is there already


def _is_new(record: logging.LogRecord) -> bool:
    return not any(words in record.getMessage() for words in _REPEATED)
