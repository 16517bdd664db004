"""What people hear of long work: the log level for those who asked for nothing, and times in words."""

NOTE = 25  # above INFO, which --verbose shows; below WARNING


def duration(seconds: float) -> str:
    """Return a time in the unit that suits it."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
