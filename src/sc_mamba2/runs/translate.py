"""Translate errors of Kedro, pydantic and the system into `UserError`."""

import re
from collections.abc import Iterator

from kedro.io import DatasetError, DatasetNotFoundError
from kedro.validation import ParameterValidationError

from sc_mamba2.errors import UserError
from sc_mamba2.files import refused_write

_PYDANTIC_FIELD = re.compile(
    r"^(?P<field>[\w.]+)\n  (?P<message>.+?) \[type=.*?input_value=(?P<value>.+?), input", re.M
)
_UNKNOWN = ("Pipeline does not contain", "Pipeline contains no nodes", "'load_versions' keys")


def as_user_error(error: BaseException) -> UserError | None:
    """Return the `UserError` behind an error, or ``None`` if the error is a bug of ours."""
    for link in _chain(error):
        if isinstance(link, UserError):
            return link
    for link in _chain(error):
        if isinstance(link, ParameterValidationError):
            return _parameter_error(str(link))
        if isinstance(link, OSError) and (refused := refused_write(link)) is not None:
            return refused
        if isinstance(link, DatasetError) and isinstance(link.__cause__, FileNotFoundError):
            return _input_missing(f"no file at '{link.__cause__.filename or link.__cause__}'")
        if isinstance(link, ValueError) and str(link).startswith("Pipeline input(s)"):
            return _input_missing(str(link).splitlines()[0])
        # Kedro does not know the names in the selection.
        if isinstance(link, ValueError | DatasetNotFoundError) and str(link).startswith(_UNKNOWN):
            return UserError(
                "selection-unknown",
                found=str(link).splitlines()[0],
                expected="names of nodes, inputs, outputs, tags or namespaces of the pipeline",
                mend="see the names with `scm viz`, or `kedro registry describe PIPELINE`",
            )
    return None


def _input_missing(found: str) -> UserError:
    return UserError(
        "input-missing",
        found=found,
        expected="the output of an earlier node of the pipeline",
        mend="run from an earlier node, or the whole pipeline: `scm run --pipeline annotation`",
    )


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _parameter_error(message: str) -> UserError:
    """Extract parameter, found value and expectation from Kedro's message."""
    group = re.search(r"Parameter '([\w.]+)':", message)
    name = group[1] if group else "parameters"
    if field := _PYDANTIC_FIELD.search(message):
        name = f"{name}.{field['field']}"
        found, expected = f"{name} = {field['value']}", field["message"]
    else:
        lines = [line.strip() for line in message.splitlines()]
        line = next((line for line in lines if "[type=" in line), lines[-1])
        found, expected = (
            line.lstrip("- ")[:300],
            "a value that matches the description of the parameter",
        )
    return UserError(
        "parameter-invalid",
        found=found,
        expected=expected[0].lower() + expected[1:],
        mend=f"correct {name} in conf/ or on the command line",
    )
