"""Following a page of docs/ literally: its files are written, its commands are run."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FILE = re.compile(r"^`([\w/.]+\.py)`\n\n```python\n(.*?)```", re.DOTALL | re.MULTILINE)
COMMANDS = re.compile(r"^```bash\n(.*?)```", re.DOTALL | re.MULTILINE)

# One process runs the commands one after another: importing torch and mmseg once.
RUN = """
import runpy, shlex, sys

for line in sys.argv[1:]:
    python, *words = shlex.split(line)
    assert python == "python", line
    print("$", line, flush=True)
    module = words[0] == "-m"
    sys.argv = words[1:] if module else words
    try:
        if module:
            runpy.run_module(words[1], run_name="__main__", alter_sys=True)
        else:
            runpy.run_path(words[0], run_name="__main__")
    except SystemExit as end:
        if end.code:
            sys.exit(f"{line}: exit status {end.code}")
"""


@dataclass
class Page:
    """A page of docs/: its text, the files it tells to write, its commands."""

    text: str
    files: dict[str, str]
    commands: list[str]


def read_page(name: str) -> Page:
    text = (ROOT / "docs" / name).read_text(encoding="utf-8")
    commands = [
        line for block in COMMANDS.findall(text) for line in block.splitlines() if line
    ]
    files = dict(FILE.findall(text))
    # Nothing that a reader is told to write or to run may be missed.
    assert text.count("```python") == len(files), "a file without a name, or twice"
    assert set(re.findall(r"^```(\S+)", text, re.MULTILINE)) <= {"python", "bash"}
    return Page(text, files, commands)


def copy_project(home: Path, files: dict[str, str]) -> Path:
    """A copy of the project with the files of a page."""
    ignore = shutil.ignore_patterns("__pycache__")
    for part in ("cmim", "tasks", "configs", "tools"):
        shutil.copytree(ROOT / part, home / part, ignore=ignore)
    shutil.copy(ROOT / "setup.cfg", home)
    (home / "data").mkdir()
    for name, text in files.items():
        assert not (home / name).exists(), f"the page overwrites {name}"
        (home / name).parent.mkdir(exist_ok=True)
        (home / name).write_text(text, encoding="utf-8")
    return home


def run_commands(home: Path, commands: list[str]) -> str:
    done = subprocess.run(
        [sys.executable, "-c", RUN, *commands],
        cwd=home,
        env={**os.environ, "PYTHONPATH": str(home), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout[-1500:] + done.stderr[-3000:]
    return done.stdout
