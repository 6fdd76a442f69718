"""Shells themselves complete command lines with the scripts that are printed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from cmim import commands
from cmim.engine.config_names import described_configs

CONFIGS = {path.stem for path in described_configs()}
VERBS = set(commands.verbs())
# Typed so far, and what is offered; None: files.
CASES = {
    "cmim ": VERBS,
    "cmim tr": {"train"},
    "cmim train rooms_seg": {"rooms_seg_bireal"},
    "cmim train ": CONFIGS,
    "cmim train --am": {"--amp"},
    "cmim train rooms_seg_bireal --amp ": {"bfloat16", "float16", "auto"},
    "cmim train rooms_seg_bireal --amp f": {"float16"},
    "cmim train rooms_seg_bireal --overwrite --se": {"--seed"},
    "cmim train --amp auto rooms_d": {"rooms_depth_bireal"},
    "cmim train rooms_seg_bireal --json ": None,
    "cmim train mine.p": None,
    "cmim test rooms_seg_bireal ": None,
    "cmim bench lat": {"latency"},
    "cmim bench latency --che": {"--checkpoints"},
    "cmim bench latency rooms_s": {"rooms_seg_bireal"},
    "cmim completion ": {"bash", "zsh", "fish"},
}
FILES = {"mine.py", "my run.pth"}
of_every_line = pytest.mark.parametrize("line", CASES)


def script(shell: str, folder: Path, capsys: pytest.CaptureFixture) -> Path:
    command = commands.load_command("completion")
    command.run(command.build_parser().parse_args([shell]))
    path = folder / f"cmim.{shell}"
    path.write_text(capsys.readouterr().out)
    return path


def shell_says(shell: str, words: list[str], folder: Path) -> set[str]:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    done = subprocess.run(
        [shell, *words], cwd=folder, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    return set(done.stdout.split("\n")) - {""}


@pytest.fixture
def folder(tmp_path) -> Path:
    place = tmp_path / "here"
    place.mkdir()
    for name in FILES:
        (place / name).touch()
    return place


@of_every_line
def test_bash(line, folder, tmp_path, capsys):
    made = script("bash", tmp_path, capsys)
    ask = (
        'source "$1"; COMP_WORDS=($2); [[ $2 == *" " ]] && COMP_WORDS+=(""); '
        "COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _cmim; "
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    words = ["--norc", "-c", ask, "bash", str(made), line]
    # Nothing fits: readline then offers files, which a script cannot be asked for.
    assert shell_says("bash", words, folder) == (CASES[line] or set())


def test_bash_offers_files_where_no_word_fits(folder, tmp_path, capsys):
    made = script("bash", tmp_path, capsys)
    words = ["--norc", "-c", 'source "$1"; complete -p cmim', "bash", str(made)]
    assert shell_says("bash", words, folder) == {
        "complete -o default -F _cmim cmim",
    }


@of_every_line
def test_zsh(line, folder, tmp_path, capsys):
    """zsh completes in its line editor alone: what it would offer is listened to."""
    made = script("zsh", tmp_path, capsys)
    ask = (
        "compdef() { : }; _files() { print -l FILES }; "
        'compadd() { shift; local w; for w in "$@"; do '
        '[[ $w == "$words[CURRENT]"* ]] && { print -r -- "$w"; fits=1 }; done; '
        '[[ -n $fits ]] }; source "$1"; words=(${=2}); '
        '[[ $2 == *" " ]] && words+=(""); CURRENT=$#words; _cmim'
    )
    found = shell_says("zsh", ["-f", "-c", ask, "zsh", str(made), line], folder)
    assert found == (CASES[line] or {"FILES"})


@of_every_line
def test_fish(line, folder, tmp_path, capsys):
    made = script("fish", tmp_path, capsys)
    ask = f"source {made}; complete -C '{line}'"
    found = {
        word.partition("\t")[0]
        for word in shell_says("fish", ["-N", "-c", ask], folder)
    }
    files = {name for name in FILES if name.startswith(line.rpartition(" ")[2])}
    assert found - FILES == (CASES[line] or set())
    assert found & FILES == (files if CASES[line] is None else found & FILES)


def test_every_option_of_every_verb_is_in_the_table():
    """A sample by hand: what argparse's help lists, the script offers."""
    from cmim.engine.completion_table import describe_parser

    for name in commands.verbs().values():
        parser = commands.load_command(name).build_parser()
        words = describe_parser(parser, [])
        shown = {w.strip("[],") for w in parser.format_usage().split()}
        listed = {w for w in shown if w.startswith("--")}
        assert listed <= set(words.options), name
