"""The wheel, installed: commands and configs from a folder outside of the checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def run(*words: str | Path, cwd: Path) -> str:
    """A command's output; its errors where it fails."""
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    line = [str(word) for word in words]
    done = subprocess.run(line, cwd=cwd, env=kept, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """Built from a copy, since building leaves folders behind."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    for name in ("cmim", "tasks", "configs"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, source / name, ignore=ignored)
    names = ("setup.py", "setup.cfg", "pyproject.toml", "README.md", "LICENSE")
    for name in names:
        shutil.copy(ROOT / name, source / name)
    line = ["-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-w", folder]
    run(sys.executable, *line, source, cwd=folder)
    (found,) = folder.glob("*.whl")
    return found


@pytest.mark.slow
def test_the_wheel_has_packages_and_configs_and_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names if ".dist-info" not in name}
    assert tops == {"cmim", "tasks"}
    ours = {path.name for path in (ROOT / "configs").glob("*.py")}
    assert {f"cmim/configs/{name}" for name in ours} <= set(names)
    assert "cmim/configs/_base_/runtime.py" in names
    page = {f"cmim/serve/page/{p.name}" for p in (ROOT / "cmim/serve/page").iterdir()}
    assert len(page) == 4
    assert page <= set(names)


@pytest.mark.slow
def test_commands_of_the_installed_wheel(wheel, tmp_path):
    """Dependencies are lent by this environment; the project itself is not."""
    home = tmp_path / "environment"
    venv.create(home, with_pip=True, system_site_packages=False)
    python = home / "bin" / "python"
    site = Path(run(python, "-c", _SITE, cwd=tmp_path).strip())
    run(python, "-m", "pip", "install", "--no-deps", "-q", wheel, cwd=tmp_path)
    # Behind the wheel on the path; the editable checkout's own hook is not copied.
    lent = "import sys; sys.path.append({!r})\n".format(sysconfig.get_path("purelib"))
    (site / "lent.pth").write_text(lent)
    outside = tmp_path / "outside"
    outside.mkdir()
    cmim = home / "bin" / "cmim"
    where = "import cmim; print(cmim.__file__)"
    assert str(site) in run(python, "-c", where, cwd=outside)
    assert "train" in run(cmim, cwd=outside)
    assert "rooms_seg_bireal" in run(cmim, "configs", cwd=outside)
    run(cmim, "make-rooms", "--out", "raw", "--frames", "40", cwd=outside)
    mat = ("--mat", "raw/nyu_depth_v2_labeled.mat", "--out", "data/rooms")
    run(cmim, "prepare-nyud", *mat, cwd=outside)
    options = ("train_cfg.max_iters=2", "train_dataloader.batch_size=2")
    said = run(
        cmim, "train", "rooms_seg_bireal", "--cfg-options", *options, cwd=outside
    )
    assert "mIoU" in said
    assert (outside / "work_dirs" / "rooms_seg_bireal" / "last.pth").is_file()


_SITE = "import sysconfig; print(sysconfig.get_path('purelib'))"
