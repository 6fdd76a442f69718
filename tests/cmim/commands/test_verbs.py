"""One module a verb, the same one for ``cmim VERB`` and ``tools/VERB.py``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from cmim import commands
from cmim.engine.config_file import read_config_file
from cmim.engine.config_names import configs_folder, described_configs, find_config

ROOT = Path(__file__).resolve().parents[3]
every_verb = pytest.mark.parametrize("name", commands.verbs().values())


def test_every_tool_runs_the_command_of_its_name():
    tools = {path.stem: path.read_text() for path in (ROOT / "tools").glob("*.py")}
    assert set(tools) == set(commands.verbs().values())
    for name, text in tools.items():
        assert f'run_command("{name}")' in text
        assert (commands.load_command(name).__doc__ or "").splitlines()[0] in text, (
            f"tools/{name}.py and its command say the same"
        )


@every_verb
def test_help_of_the_verb_names_no_file_of_a_checkout(name, monkeypatch, capsys):
    verb = name.replace("_", "-")
    monkeypatch.setattr(sys, "argv", ["cmim", verb, "--help"])
    with pytest.raises(SystemExit) as ended:
        commands.main()
    said = capsys.readouterr().out
    assert ended.value.code == 0
    assert said.startswith(f"usage: cmim {verb}")
    assert f"cmim {verb}" in said.lower().partition("example:")[2]
    assert "tools/" not in said
    assert "configs/" not in said
    assert ".md" not in said, "the wheel has no pages"


@pytest.mark.parametrize("name", ["step", "latency"])
def test_help_of_a_benchmark_names_none_either(name, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["cmim", "bench", name, "--help"])
    with pytest.raises(SystemExit):
        commands.main()
    said = capsys.readouterr().out
    assert said.startswith(f"usage: cmim bench {name}")
    assert "tools/" not in said
    assert "configs/" not in said


def test_errors_of_a_verb_name_verbs_and_the_users_files(monkeypatch, capsys):
    def fail(*_):
        raise ValueError("'configs/mine.py': make it with tools/make_rooms.py")

    monkeypatch.setattr(commands.load_command("summary"), "run", fail)
    for called, made in (
        ("cmim", "cmim make-rooms"),
        ("tools/summary.py", "tools/make_rooms.py"),
    ):
        monkeypatch.setattr(sys, "argv", [called, "summary", "x"])
        with pytest.raises(SystemExit):
            commands.main() if called == "cmim" else commands.run_command(
                "summary", ["x"]
            )
        said = capsys.readouterr().err
        assert said.startswith(f"error: 'configs/mine.py': make it with {made}")


@pytest.mark.full
def test_the_copy_that_the_help_advises_can_be_read(tmp_path, monkeypatch):
    command = commands.load_command("configs")
    line = command.build_parser().epilog.splitlines()[-1]
    tool = f"{sys.executable} {ROOT}/tools/configs.py"
    line = line.replace("python tools/configs.py", tool)
    subprocess.run(line, shell=True, check=True, cwd=tmp_path)
    monkeypatch.chdir(tmp_path)
    assert read_config_file("mine/nyud_seg_bireal.py").model.type


def test_no_verb_lists_all_and_an_unknown_one_is_refused(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["cmim"])
    with pytest.raises(SystemExit) as ended:
        commands.main()
    said = capsys.readouterr().out
    assert ended.value.code == 0
    assert all(f"  {verb} " in said for verb in commands.verbs())
    monkeypatch.setattr(sys, "argv", ["cmim", "trian"])
    with pytest.raises(SystemExit) as ended:
        commands.main()
    assert ended.value.code == 2
    assert "'train'" in capsys.readouterr().err


@pytest.mark.full
def test_as_a_module(tmp_path):
    """What ``cmim demo`` runs: found from any folder, a mistake is one sentence."""
    line = [sys.executable, "-m", "cmim", "train", "no_such_config"]
    done = subprocess.run(
        line,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: config 'no_such_config' does not exist")


def test_configs_are_found_by_name_and_files_come_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ours = configs_folder() / "rooms_seg_bireal.py"
    assert find_config("rooms_seg_bireal") == ours
    assert find_config("rooms_seg_bireal.py") == ours
    assert find_config("configs/rooms_seg_bireal.py") == ours
    assert find_config("other/rooms_seg_bireal.py") != ours
    config = read_config_file("rooms_seg_bireal")
    assert config.model.type
    (tmp_path / "rooms_seg_bireal").mkdir()
    assert find_config("rooms_seg_bireal") == ours
    assert find_config("configs") == Path("configs")
    mine = tmp_path / "rooms_seg_bireal.py"
    mine.write_text("x = 1\n")
    assert find_config("rooms_seg_bireal.py") == Path("rooms_seg_bireal.py")


def test_every_config_says_what_it_is():
    assert len(described_configs()) > 50
    assert all(described_configs().values())


def test_the_list_of_configs(capsys):
    command = commands.load_command("configs")
    assert command.run(command.build_parser().parse_args(["rooms_seg"])) == 0
    assert capsys.readouterr().out.startswith("rooms_seg_bireal  ")
    words = ["nyud_seg_bireal", "--path"]
    assert command.run(command.build_parser().parse_args(words)) == 0
    assert capsys.readouterr().out == f"{configs_folder() / 'nyud_seg_bireal.py'}\n"
    assert command.run(command.build_parser().parse_args(["no_such"])) == 1
