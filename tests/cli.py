"""The command in this process, as a person types it: `invoke`, or what must go well or be refused."""

from collections.abc import Mapping
from pathlib import Path

from click.testing import Result
from typer.testing import CliRunner

from sc_mamba2.commands import app


def invoke(*words: object, env: Mapping[str, str] | None = None, color: bool = False) -> Result:
    """Run `scm WORDS`; paths and numbers are written as text."""
    return CliRunner().invoke(
        app, [str(word) for word in words], env=env, color=color, prog_name="scm"
    )


def entered(*words: object) -> Result:
    """Run what must go well."""
    result = invoke(*words)
    assert result.exit_code == 0, result.output + repr(result.exception)
    return result


def refused(*words: object, rule: str | None = None, folder: Path | None = None) -> str:
    """Run what must be refused in one message of a rule, with nothing new in a folder; return the message."""
    before = _names(folder)
    result = invoke(*words)
    text = result.stderr
    assert result.exit_code == 2, result.output + repr(result.exception)
    assert "Traceback" not in text and text.count("Error (") == 1, text
    assert rule is None or f"Error ({rule})" in text, text
    for part in ("  found:", "  expected:", "  mend:"):
        assert text.count(part) == 1, text
    assert _names(folder) == before, "output was left behind"
    return text


def _names(folder: Path | None) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder else []
