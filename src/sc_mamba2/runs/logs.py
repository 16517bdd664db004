"""Logging under `scm`: Kedro's progress, and no error twice."""

import logging
import warnings

from rich.console import Console
from rich.logging import RichHandler

from sc_mamba2.tasks.shared.messages import NOTE

# Messages about an error that the command itself reports.
_REPEATED = ("failed with error", "You can resume the pipeline run", "No nodes ran", "Parameter '")
# kedro-viz is silenced, since it warns of every run outside a project.
logging.addLevelName(NOTE, "NOTE")
_levels = {
    "kedro": logging.INFO,
    "sc_mamba2": logging.INFO,
    "kedro_viz": logging.ERROR,
    "py.warnings": logging.WARNING,
}


def set_logging(verbose: bool) -> None:
    """Let later runs log their nodes (`verbose`), or only errors and notes."""
    _levels["kedro"] = logging.INFO if verbose else logging.ERROR
    _levels["sc_mamba2"] = logging.INFO if verbose else NOTE
    # Warnings of libraries are meant for developers.
    _levels["py.warnings"] = logging.WARNING if verbose else logging.ERROR
    logging.captureWarnings(True)
    apply_logging()


def apply_logging() -> None:
    """Set the chosen levels; call it after Kedro has opened a project, which sets its own levels."""
    # Datasets of another namespace (reference.valid_cells) are intended; Kedro warns of them.
    warnings.filterwarnings("ignore", message="One or more dataset names contain")
    for name, level in _levels.items():
        logging.getLogger(name).setLevel(level)
    root, stderr = logging.getLogger(), Console(stderr=True)  # stdout is for results
    for handler in list(root.handlers):
        if isinstance(handler, RichHandler):
            handler.console = stderr
            if _levels["kedro"] > logging.INFO:  # words for a person: no time, no line of our code
                root.removeHandler(handler)
                root.addHandler(RichHandler(console=stderr, show_time=False, show_path=False))
    for handler in root.handlers:
        handler.addFilter(_is_new)  # no effect if already added


def _is_new(record: logging.LogRecord) -> bool:
    return not any(words in record.getMessage() for words in _REPEATED)
