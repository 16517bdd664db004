import shlex

import pytest
from hypothesis import given, strategies as st
from kedro.framework.cli.utils import _split_params

from sc_mamba2.errors import UserError
from sc_mamba2.runs.selection import Selection, merge, nest, parse_params
from sc_mamba2.tasks.shared.parameters import flatten

names = st.lists(st.sampled_from("abc"), min_size=1, max_size=3).map(".".join)
leaves = st.one_of(st.integers(), st.booleans(), st.none(), st.text(alphabet="xyz", min_size=1))


def test_params_are_read_as_kedro_reads_them():
    text = "annotation.fine_tune.max_epochs=3,input=cells.h5ad,ingestion.layer=null,x=true"
    assert parse_params([text]) == _split_params(None, None, text)


def test_commas_inside_brackets_belong_to_a_list():
    parsed = parse_params(["a.names=[x,y],b=1", "c=[]"])
    assert parsed == {"a": {"names": ["x", "y"]}, "b": 1, "c": []}


@pytest.mark.parametrize("bad", ["novalue", "=3", "a=1,b"])
def test_params_without_a_name_or_a_value_are_refused(bad):
    with pytest.raises(UserError, match="params-syntax"):
        parse_params([bad])


@given(st.dictionaries(st.text(alphabet="abc", min_size=1), leaves, min_size=1))
def test_nest_is_the_inverse_of_flatten(flat):
    assert flatten(nest(flat)) == flat


def test_the_later_parameters_count():
    under, over = {"a": {"b": 1, "c": 2}}, {"a": {"c": 3}, "d": 4}
    assert merge(under, over) == {"a": {"b": 1, "c": 3}, "d": 4}


def test_a_list_that_kedro_cannot_read_stands_as_a_remark():
    line = Selection(params={"a": {"b": ["x", "y"], "c": [1]}}).kedro_line()
    assert line == "kedro run '--params=a.c=[1]'  # and in conf/: a.b: [x,y]" or line == (
        "kedro run --params='a.c=[1]'  # and in conf/: a.b: [x,y]"
    )


def test_the_kedro_line_says_the_same_to_kedro():
    selection = Selection(
        pipelines=("annotation",),
        env="test",
        params={"annotation": {"labels": {"key": "cell type"}}, "input": "a b.h5ad"},
        tags=("training", "evaluation"),
        from_nodes=("annotation.score",),
        load_versions={"x": "2026-01-01T00.00.00.000Z"},
        only_missing_outputs=True,
    )
    words = shlex.split(selection.kedro_line())
    options = dict(word.split("=", 1) for word in words[2:] if "=" in word)
    assert words[:2] == ["kedro", "run"]
    assert options["--pipelines"] == "annotation"
    assert _split_params(None, None, options["--params"]) == selection.params
    assert options["--tags"] == "training,evaluation"
    assert options["--from-nodes"] == "annotation.score"
    assert options["--load-versions"] == "x:2026-01-01T00.00.00.000Z"
    assert "--only-missing-outputs" in words


@pytest.mark.parametrize("bad", ["a=[1", "a={", "a=1,a.b=2", "a.b=2,a=1", "a=x: y: z"])
def test_params_that_yaml_or_another_parameter_contradicts_are_refused(bad):
    with pytest.raises(UserError, match="params-syntax"):
        parse_params([bad])
