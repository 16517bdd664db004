"""From the errors of Kedro, pydantic and the system to the one error that a person can act on."""

import re
from collections.abc import Iterator

from kedro.io import DatasetError, DatasetNotFoundError
from kedro.validation import ParameterValidationError

from sc_mamba2.errors import UserError
from sc_mamba2.files import refused_write

_PYDANTIC_FIELD = re.compile(
    r"^(?P<field>[\w.]+)\n  (?P<message>.+?) \[type=.*?input_value=(?P<value>.+?), input", re.M
)


def as_user_error(error: BaseException) -> UserError | None:
    """Return what a person can act on in an error, or ``None`` where it is our own mistake."""
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
        if _names_nothing(link):
            return UserError(
                "selection-unknown",
                found=str(link).splitlines()[0],
                expected="names of nodes, inputs, outputs, tags or namespaces of the pipeline",
                mend="look at the names with `scm viz`, or `kedro registry describe PIPELINE`",
            )
    return None


def _names_nothing(error: BaseException) -> bool:
    """Say whether Kedro found nothing of the names that a selection gives."""
    words = ("Pipeline does not contain", "Pipeline contains no nodes", "'load_versions' keys")
    return isinstance(error, ValueError | DatasetNotFoundError) and str(error).startswith(words)


def _input_missing(found: str) -> UserError:
    return UserError(
        "input-missing",
        found=found,
        expected="what an earlier node of the pipeline writes",
        mend="run from an earlier node, or the whole pipeline: `scm run --pipeline annotation`",
    )


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _telling_line(message: str) -> str:
    """Return the line of pydantic's message that says what is wrong."""
    lines = [line.strip() for line in message.splitlines()]
    return next((line for line in lines if "[type=" in line), lines[-1])


def _parameter_error(message: str) -> UserError:
    """Shorten Kedro's message: the parameter, what was found, what pydantic expected."""
    groups = re.findall(r"Parameter '([\w.]+)':", message)
    group = groups[0] if groups else "parameters"
    field = _PYDANTIC_FIELD.search(message)
    if field is None:
        return UserError(
            "parameter-invalid",
            found=_telling_line(message).lstrip("- ")[:300],
            expected="a value as the parameter's description says",
            mend=f"correct {group} in conf/ or on the command line",
        )
    return UserError(
        "parameter-invalid",
        found=f"{group}.{field['field']} = {field['value']}",
        expected=field["message"][0].lower() + field["message"][1:],
        mend=f"correct {group}.{field['field']} in conf/ or on the command line",
    )
