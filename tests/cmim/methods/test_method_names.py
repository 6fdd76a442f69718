"""Methods by name: which there are, and what is said of those there are not."""

from __future__ import annotations

import importlib

import pytest

from cmim.methods import (
    available_methods,
    get_method,
)


def test_names_are_sorted_and_hold_the_twin_and_bireal():
    assert available_methods() == sorted(set(available_methods()))
    assert {"fp", "bireal"} <= set(available_methods())


@pytest.mark.parametrize("name", available_methods())
def test_method_has_the_name_of_its_file(name):
    assert get_method(name).name == name
    assert get_method({"name": name}).name == name


@pytest.mark.parametrize("name", available_methods())
def test_docstrings_and_paper_cite_a_source(name):
    module = importlib.import_module(f"cmim.methods.{name}")
    assert "https://" in (module.__doc__ or "")
    assert "https://" in get_method(name).paper
    assert module.METHOD.__doc__


@pytest.mark.parametrize("name", ["bi-real", "Bireal", "method", "binarizer", None])
def test_unknown_method_is_one_sentence_with_the_names(name):
    with pytest.raises(ValueError, match="is unknown; choose from") as error:
        get_method(name)
    known = ", ".join(available_methods())
    assert str(error.value) == f"method {name!r} is unknown; choose from {known}"


def test_missing_name_is_refused():
    with pytest.raises(ValueError, match="method None is unknown"):
        get_method({"magnitude_aware": True})


def test_unknown_option_is_one_sentence_with_the_options():
    with pytest.raises(ValueError, match="option") as error:
        get_method({"name": "bireal", "clip": 1, "magnitude": True})
    assert str(error.value) == (
        "method 'bireal' has no option 'clip', 'magnitude'; it accepts magnitude_aware"
    )
    with pytest.raises(ValueError, match=r"'fp' has no option 'bits'; .* no options"):
        get_method({"name": "fp", "bits": 1})


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"name": "dorefa", "signed": "no"}, "signed to be True or False, got 'no'"),
        ({"name": "dorefa", "weight_bits": True}, "weight_bits to be a whole number"),
        ({"name": "rbnn", "rotations": 2.5}, "rotations to be a whole number, got 2.5"),
        ({"name": "rbnn", "t_min": "x"}, "method 'rbnn' needs t_min to be a number"),
        ({"name": "reactnet", "step": 1.5}, "step to be a whole number or a name"),
        (
            {"name": "bnn", "additions": [{"name": "unbalanced", "threshold": "x"}]},
            "addition 'unbalanced' needs threshold to be a number, got 'x'",
        ),
    ],
    ids=str,
)
def test_an_option_of_another_kind_is_one_sentence(options, said):
    with pytest.raises(ValueError, match="needs") as error:
        get_method(options)
    assert said in str(error.value)


def test_a_whole_number_is_a_number():
    assert get_method({"name": "irnet", "t_max": 10}).name == "irnet"


def test_options_are_left_in_the_callers_dictionary():
    options = {"name": "bireal", "magnitude_aware": True}
    get_method(options)
    assert options == {"name": "bireal", "magnitude_aware": True}
