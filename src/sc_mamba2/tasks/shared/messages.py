"""Messages about long work: their default log level, and durations as text."""

NOTE = 25  # between INFO, which needs --verbose, and WARNING


def duration(seconds: float) -> str:
    """Return a duration as text in a suitable unit."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
