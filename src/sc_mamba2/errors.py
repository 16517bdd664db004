"""The one error that is meant for the user.

Everything that a person can mend (a file, a label, a parameter) is raised as `UserError`; the
commands print it as three lines and leave with code 2. What is our own mistake stays an ordinary
exception with its traceback.
"""

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """Something the user can mend.

    Parameters
    ----------
    rule
        Short kebab-case name of the rule that was broken, stable across versions.
    found
        What was there.
    expected
        What should have been there.
    mend
        What to do about it.
    """

    def __init__(self, rule: str, *, found: str, expected: str, mend: str) -> None:
        self.rule, self.found, self.expected, self.mend = rule, found, expected, mend
        super().__init__(f"[{rule}] found: {found}; expected: {expected}; mend: {mend}")

    def __reduce__(self) -> tuple:
        """Rebuild from the named parts, so that the error crosses process borders."""
        return _rebuild, (self.rule, self.found, self.expected, self.mend)


def _rebuild(rule: str, found: str, expected: str, mend: str) -> UserError:
    return UserError(rule, found=found, expected=expected, mend=mend)


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a hint at the known name nearest to `name` but for case: ``"; did you mean 'x'?"``."""
    spelled = {str(other).casefold(): str(other) for other in known}
    close = difflib.get_close_matches(name.casefold(), spelled, n=1, cutoff=0.6)
    return f"; did you mean '{spelled[close[0]]}'?" if close else ""
