"""What a user reads when a tool fails."""

from __future__ import annotations

import pytest

from cmim.encoders import BinaryVGGSmall
from cmim.engine.cli import run_tool


def fail(error: Exception):
    raise error


@pytest.mark.parametrize(
    ("raised", "said"),
    [
        (lambda: BinaryVGGSmall(depth=20), "BinaryVGGSmall has no option 'depth'; it"),
        (lambda: fail(ValueError("two\n  lines")), "error: two lines"),
        (lambda: fail(KeyError()), "error: KeyError"),
        (
            lambda: fail(ValueError("Original Traceback ...\nDataError: no such file")),
            "error: no such file",
        ),
    ],
)
def test_an_error_is_one_sentence(raised, said, capsys):
    with pytest.raises(SystemExit) as stopped:
        run_tool(raised)
    assert stopped.value.code == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert said in lines[0]


def test_a_defect_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError):
        run_tool(lambda: fail(ZeroDivisionError()))
