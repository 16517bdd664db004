"""Add to a tool the arguments of its row in the task table, as its command has them."""

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, TypeVar

from sc_mamba2.errors import UserError
from sc_mamba2.remote import cleared
from sc_mamba2.tasks.shared.row import Option
from sc_mamba2.tasks.table import TASKS, changed_parameters
from sc_mamba2.training.machine import one_thread

Result = TypeVar("Result")
LAST = ("params", "key_added", "copy")  # the last arguments of every tool
_WORDS = {
    "params": "More parameters of `conf/base/parameters`, by dotted name; they count over the others.",
    "key_added": "Word that stands for ``scm`` in the names of what is added.",
    "copy": "Whether a copy gets the results and is returned.",
}
# Parts of docstrings without indentation, which Python 3.13 strips itself.
_ENTRY = "options\n    Those of the verb."
_EXAMPLES = "\n\nExamples\n"
_RAISES = """

Raises
------
UserError
    Everything that the verb refuses; nothing is added then."""
_KINDS = {str: "str", int: "int", bool: "bool"}


def tool(verb: str) -> Callable[[Callable[..., Result]], Callable[..., Result]]:
    """Decorate a function so that it also takes the options of a task as arguments.

    It gets them as ``options``: parameters by dotted name, overridden by those in `params`. An option
    that only training uses raises rule ``options`` together with a checkpoint.

    Parameters
    ----------
    verb
        Key of the task in `TASKS`.
    """
    options = [option for option in TASKS[verb].options if option.tool]

    def decorate(function: Callable[..., Result]) -> Callable[..., Result]:
        own = inspect.signature(function).parameters
        signature = _signature(own, options)

        @functools.wraps(function)
        def call(*args: Any, **values: Any) -> Result:
            given = signature.bind(*args, **values).arguments
            chosen = {option.name: given.pop(option.tool, None) for option in options}
            params = given.pop("params", None)
            if given.get("checkpoint") is not None:
                _refuse_training_options(options, chosen)
            changed = changed_parameters(options, chosen) | dict(params or {})
            single_thread = one_thread(bool(changed.get("compute.deterministic")))
            with _remembered(f"sc_mamba2.tl.{verb}", own, args, values), single_thread:
                return function(**given, options=changed)

        call.__signature__ = signature  # type: ignore[attr-defined]
        call.__doc__ = _documented(function.__doc__, own, options)
        return call

    return decorate


_called: ContextVar[str | None] = ContextVar("called", default=None)
called = _called.get  # the current call of a tool, as Python code


@contextmanager
def _remembered(
    name: str, own: Mapping[str, Any], args: Sequence[Any], values: Mapping[str, Any]
) -> Iterator[None]:
    """Remember the Python code of a call while it runs; values that are not plain appear by name."""
    named = [_shown(value, "") or word for value, word in zip(args, own, strict=False)]
    named += [_shown(value, f"{word}=") or f"{word}={word}" for word, value in values.items()]
    token = _called.set(f"{name}({', '.join(named)})")
    try:
        yield
    finally:
        _called.reset(token)


def _shown(value: Any, before: str) -> str:
    value = cleared(str(value) if isinstance(value, Path) else value)
    plain = value is None or isinstance(value, str | int | float | bool | list | tuple | dict)
    return f"{before}{value!r}" if plain else ""


def refuse_training_options(checkpoint: object, given: Mapping[str, object]) -> None:
    """Raise rule ``options`` if a trained checkpoint comes with arguments that only training uses."""
    for name, value in given.items():
        if checkpoint is not None and value is not None:
            raise UserError(
                "options",
                found=f"checkpoint and {name}",
                expected="only a trained checkpoint, since nothing is trained",
                mend=f"omit {name}",
            )


def _refuse_training_options(options: list[Option], chosen: Mapping[str, object]) -> None:
    refuse_training_options(True, {o.tool: chosen[o.name] for o in options if o.training})


def _signature(own: Mapping[str, inspect.Parameter], options: list[Option]) -> inspect.Signature:
    """Return the signature: own parameters, options, then the last arguments of every tool."""
    keyword = inspect.Parameter.KEYWORD_ONLY
    from_table = [
        inspect.Parameter(
            option.tool,
            keyword,
            default=None,
            annotation=f"{_KINDS.get(option.kind, 'str | Path')} | None",
        )
        for option in options
    ]
    params = inspect.Parameter(
        "params", keyword, default=None, annotation="Mapping[str, Any] | None"
    )
    first = [p for name, p in own.items() if name not in (*LAST, "options")]
    last = [own[name] for name in LAST if name in own]
    return inspect.Signature([*first, *from_table, params, *last])


def _documented(
    text: str | None, own: Mapping[str, inspect.Parameter], options: list[Option]
) -> str | None:
    """Replace the docstring's entry ``options`` by one entry per option, and add the section Raises."""
    if text is None:  # python -OO
        return None
    words = {option.tool: option.help for option in options}
    words |= {name: _WORDS[name] for name in LAST if name in own or name == "params"}
    lines = "\n".join(f"{name}\n    {meaning}" for name, meaning in words.items())
    before, examples, after = inspect.cleandoc(text).replace(_ENTRY, lines).partition(_EXAMPLES)
    return before + _RAISES + examples + after
