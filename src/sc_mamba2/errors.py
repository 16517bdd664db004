"""The one error that is meant for the user.

Whatever the user can fix (a file, a label, a parameter) is raised as `UserError`; the commands print
it as three lines and exit with code 2. Our own bugs stay ordinary exceptions with a traceback.
"""

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """An error that the user can fix.

    `rule` is the short kebab-case name of the broken rule, stable across versions; `mend` says how to
    fix it.
    """

    def __init__(self, rule: str, *, found: str, expected: str, mend: str) -> None:
        self.rule, self.found, self.expected, self.mend = rule, found, expected, mend
        super().__init__(f"[{rule}] found: {found}; expected: {expected}; mend: {mend}")

    def __reduce__(self) -> tuple:
        """Pickle by the named parts, so that the error can be passed between processes."""
        return _rebuild, (self.rule, self.found, self.expected, self.mend)


def _rebuild(rule: str, found: str, expected: str, mend: str) -> UserError:
    return UserError(rule, found=found, expected=expected, mend=mend)


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a hint at the closest known name, ignoring case: ``"; did you mean 'x'?"``, or ``""``."""
    spelled = {str(other).casefold(): str(other) for other in known}
    close = difflib.get_close_matches(name.casefold(), spelled, n=1, cutoff=0.6)
    return f"; did you mean '{spelled[close[0]]}'?" if close else ""
