"""No arguments give a traceback: words of the options, odd values, and files that are not there."""

from contextlib import chdir

from hypothesis import given, strategies as st
from tests.cli import invoke
from tests.properties import promised

from sc_mamba2.tasks.table import TASKS

OPTIONS = [option for task in TASKS.values() for option in task.options]
FLAGS = sorted({option.flag for option in OPTIONS} | {"-o", "-c", "-k", "-q", "--no", "-", "--"})
ODD = [
    "",
    " ",
    "no.h5ad",
    "../x",
    "-1",
    "1e999",
    "nan",
    "[",
    "a=b",
    "a.b=1",
    "[red]",
    "é\u202e",
    "%s",
]
VERBS = sorted(task.verb for task in TASKS.values())

verbs = st.sampled_from([*VERBS, "validate", "run", "runs", "model", "data", "anotate", ""])
words = st.lists(st.sampled_from([*FLAGS, *ODD]), max_size=6)


@promised
@given(verbs, words)
def test_no_arguments_give_a_traceback(tmp_path_factory, verb, words):
    folder = tmp_path_factory.getbasetemp() / "arguments"
    folder.mkdir(exist_ok=True)
    with chdir(folder):
        result = invoke(verb, *words)
    assert result.exit_code in (0, 2), (result.output, result.exception)
    assert "Traceback" not in result.output and not any(folder.iterdir())
