"""What every file keeps to: its length and its functions', its names, its words."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FILES = [p for room in ("cmim", "tasks", "tools") for p in (ROOT / room).rglob("*.py")]
# Functions of more than 40 lines that wait for someone who works on them.
LONG_FUNCTIONS = {"cmim/models/cmim.py __init__"}
NO_CODE = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
}
VAGUE_NAMES = {"utils", "util", "helpers", "helper", "misc", "common"}


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_files_are_short_and_say_what_they_are():
    texts = {name_of(path): path.read_text(encoding="utf-8") for path in FILES}
    assert not [name for name, t in texts.items() if len(t.splitlines()) > 300]
    silent = [name for name, t in texts.items() if not ast.get_docstring(ast.parse(t))]
    assert not silent, "a file begins with its docstring"


def lines_of_code(text: str) -> dict[str, int]:
    """Lines of each function, without signature, docstring, comments and blanks.

    Lines of a function within count for both.
    """
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in NO_CODE:
            lines |= set(range(token.start[0], token.end[0] + 1))
    found = {}
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            body = node.body[ast.get_docstring(node) is not None :]
            inside = range(body[0].lineno, node.end_lineno + 1) if body else ()
            found[f"{node.name}:{node.lineno}"] = len(lines.intersection(inside))
    return found


def test_the_counter_of_lines_sees_code_alone():
    text = '''
def f(
    x,
):
    """Words."""

    # Why.
    y = [
        x,
    ]

    def g(): return y

    return g

async def h(): """Words."""
'''
    assert lines_of_code(text) == {"f:2": 5, "g:12": 1, "h:16": 0}


def test_functions_are_short():
    long = {
        f"{name_of(path)} {function.split(':')[0]}"
        for path in FILES
        for function, lines in lines_of_code(path.read_text(encoding="utf-8")).items()
        if lines > 40
    }
    assert not long - LONG_FUNCTIONS, "split what has more than 40 lines of code"
    assert not LONG_FUNCTIONS - long, "short by now: take it out of LONG_FUNCTIONS"


def test_numbers_of_bytes_say_their_order():
    """Python 3.10, which is supported, knows no default for it."""
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                needed = {"from_bytes": 2, "to_bytes": 2}.get(node.func.attr, 0)
                assert len(node.args) >= needed, f"{name_of(path)}:{node.lineno}"


def test_names_are_ideas():
    vague = [p for p in FILES if {p.stem, p.parent.name} & VAGUE_NAMES]
    assert not [name_of(path) for path in vague]


def test_colours_of_figures_stand_in_one_file():
    wrong = [
        f"{name_of(path)}: {colour}"
        for path in FILES
        for colour in re.findall(r'"#[0-9a-f]{6}"', path.read_text(encoding="utf-8"))
        if name_of(path) != "cmim/analysis/colours.py"
    ]
    assert not wrong


def test_files_of_tests_are_short():
    lengths = {
        path.relative_to(ROOT).as_posix(): len(path.read_text("utf-8").splitlines())
        for path in (ROOT / "tests").rglob("*.py")
    }
    assert not {name: n for name, n in lengths.items() if n > 300}


def test_test_files_have_unique_base_names():
    """pytest imports them by base name, since the folders are no packages."""
    names = [p.name for p in (ROOT / "tests").rglob("test_*.py")]
    assert sorted(names) == sorted(set(names))
    assert not list((ROOT / "tests").rglob("__init__.py"))
