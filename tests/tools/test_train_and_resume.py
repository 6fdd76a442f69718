"""tools/train.py as a person runs it: killed, resumed, tested, misused."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from in_process import ROOT, run_in_process

STEPS = 30
TINY = [
    "model.model.backbone.base_channels=8",
    "model.model.decode_head.in_channels=64",
    "model.model.decode_head.channels=8",
    "model.queue=40",
    "model.pixels=4",
    "train_dataloader.batch_size=2",
    "train_dataloader.dataset.pipeline.1.base_size=(48,64)",
    "train_dataloader.dataset.pipeline.1.crop_size=(32,48)",
    "val_dataloader.dataset.pipeline.1.size=(48,64)",
    "test_dataloader.dataset.pipeline.1.size=(48,64)",
    f"train_cfg.max_iters={STEPS}",
    "train_cfg.val_interval=10",
    "default_hooks.checkpoint.interval=4",
]


def command(rooms: Path, work_dir: Path, *extra: str) -> list[str]:
    return [
        *("train", "configs/rooms_seg_bireal.py", "--work-dir", str(work_dir), *extra),
        *("--cfg-options", f"data_root={rooms}", *TINY),
    ]


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def whole_run(rooms, tmp_path_factory) -> Path:
    work_dir = tmp_path_factory.mktemp("whole")
    done = run_in_process(*command(rooms, work_dir))
    assert done.returncode == 0, done.stderr
    return work_dir


def load(path: Path) -> dict:
    return torch.load(path, weights_only=True)


def assert_same(a, b, where: str = "") -> None:
    if isinstance(a, torch.Tensor):
        assert torch.equal(a, b), where
    elif isinstance(a, dict):
        assert a.keys() == b.keys(), where
        for key in a:
            assert_same(a[key], b[key], f"{where}.{key}")
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b), where
        for i, (x, y) in enumerate(zip(a, b, strict=True)):
            assert_same(x, y, f"{where}[{i}]")
    else:
        assert a == b, where


@pytest.mark.full
def test_killed_and_resumed_run_ends_in_the_same_weights(rooms, whole_run, tmp_path):
    tool, *words = command(rooms, tmp_path)
    with subprocess.Popen(
        [sys.executable, f"tools/{tool}.py", *words],
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        deadline = time.monotonic() + 120
        while not (tmp_path / "last.pth").exists():
            assert time.monotonic() < deadline
            time.sleep(0.005)
        time.sleep(0.1)  # into the middle of the next steps
        os.killpg(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    stopped = load(tmp_path / "last.pth")["meta"]["iter"]
    assert 0 < stopped < STEPS

    resumed = run_in_process(*command(rooms, tmp_path, "--resume"))
    assert resumed.returncode == 0, resumed.stderr
    assert f"iter: {stopped}" in resumed.stdout + resumed.stderr
    expected, actual = load(whole_run / "last.pth"), load(tmp_path / "last.pth")
    for part in ("state_dict", "optimizer", "param_schedulers"):
        assert_same(expected[part], actual[part], part)
    assert any("queue.rows" in name for name in actual["state_dict"])
    best = [load(d / "best.pth")["state_dict"] for d in (whole_run, tmp_path)]
    assert_same(*best)


def test_run_folder_holds_the_record(whole_run):
    record = json.loads((whole_run / "run.json").read_text())
    assert record["seed"] == 0
    assert record["versions"]["torch"] == torch.__version__.split("+")[0]
    figures = json.loads((whole_run / "metrics.json").read_text())
    assert figures["steps"] == STEPS
    assert 0 <= figures["test"]["mIoU"] <= 100
    assert (whole_run / "rooms_seg_bireal.py").is_file()
    assert not list(whole_run.glob(".*.part"))


def test_tool_test_repeats_the_final_figures(rooms, whole_run, tmp_path):
    words = [
        *("test", "configs/rooms_seg_bireal.py"),
        *(str(whole_run / "last.pth"), "--json", str(tmp_path / "figures.json")),
        *("--save-predictions", str(tmp_path / "predictions")),
        *("--cfg-options", f"data_root={rooms}", *TINY),
    ]
    done = run_in_process(*words)
    assert done.returncode == 0, done.stderr
    figures = json.loads((tmp_path / "figures.json").read_text())
    final = json.loads((whole_run / "metrics.json").read_text())["test"]
    for name in ("mIoU", "pixel_accuracy", "mean_accuracy", "images"):
        assert figures[name] == final[name]
    pictures = list((tmp_path / "predictions").glob("*_labels.png"))
    assert len(pictures) == figures["images"]


def test_tool_predict_takes_pictures_of_any_size(rooms, whole_run, tmp_path):
    import cv2
    import numpy as np

    picture = tmp_path / "odd.png"
    cv2.imwrite(str(picture), np.full((70, 51, 3), 90, np.uint8))
    words = [
        *("predict", "configs/rooms_seg_bireal.py"),
        *(str(whole_run / "last.pth"), str(picture), "--out", str(tmp_path)),
        *("--cfg-options", *TINY),
    ]
    done = run_in_process(*words)
    assert done.returncode == 0, done.stderr
    labels = cv2.imread(str(tmp_path / "odd_labels.png"), -1)
    assert labels.shape == (70, 51)
    assert labels.min() >= 1
    assert (tmp_path / "odd_overlay.png").is_file()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["train", "configs/gone.py"], "config 'configs/gone.py' does not"),
        (
            ["train", "configs/rooms_seg_bireal.py"],
            "data set folder 'nowhere' does not exist",
        ),
        (
            [
                *("train", "configs/rooms_seg_bireal.py"),
                *("model.model.backbone.dept=34",),
            ],
            "dept",
        ),
        (
            ["test", "configs/nyud_depth_bireal_small.py", "CHECKPOINT"],
            "is of another model",
        ),
        (["test", "configs/rooms_seg_bireal.py", "gone.pth"], "gone.pth"),
    ],
)
def test_misuse_is_one_sentence_and_a_failure(words, said, whole_run, tmp_path):
    words = [str(whole_run / "last.pth") if w == "CHECKPOINT" else w for w in words]
    options = [w for w in words if w.startswith("model.")]
    words = [w for w in words if not w.startswith("model.")]
    if words[0] == "train":
        words += ["--work-dir", str(tmp_path)]
    done = run_in_process(*words, "--cfg-options", "data_root=nowhere", *options)
    assert done.returncode == 2
    errors = [x for x in done.stderr.splitlines() if x.startswith("error:")]
    assert len(errors) == 1
    assert said in errors[0]
    assert "Traceback" not in done.stderr


def test_a_folder_with_a_run_is_kept(rooms, whole_run):
    before = (whole_run / "last.pth").read_bytes()
    done = run_in_process(*command(rooms, whole_run))
    assert done.returncode == 2
    assert "holds a run already" in done.stderr
    assert (whole_run / "last.pth").read_bytes() == before


@pytest.mark.parametrize(
    ("extra", "option", "said"),
    [
        (["--resume", "--seed", "5"], None, "was trained with seed 0, not 5"),
        (["--resume"], "train_cfg.max_iters=60", "started for 30 steps, not 60"),
    ],
)
def test_a_run_is_resumed_as_it_was_started(rooms, whole_run, extra, option, said):
    words = command(rooms, whole_run, *extra)
    done = run_in_process(*words, *([option] if option else []))
    assert done.returncode == 2
    assert said in done.stderr


def test_the_twin_s_config_is_told_from_its_own(rooms, whole_run):
    words = [
        *("test", "configs/rooms_seg_bireal.py"),
        *(str(whole_run / "last.pth"), "--cfg-options", f"data_root={rooms}", *TINY),
    ]
    done = run_in_process(*words, "model.model.backbone.method=fp")
    assert done.returncode == 2
    assert "is of another model" in done.stderr


def test_a_damaged_file_is_named_by_the_tool(rooms, whole_run, tmp_path):
    folder = shutil.copytree(rooms, tmp_path / "rooms")
    name = (folder / "test.txt").read_text().split()[0]
    (folder / "labels40" / f"{name}.png").write_bytes(b"torn")
    words = [
        *("test", "configs/rooms_seg_bireal.py"),
        *(str(whole_run / "last.pth"), "--cfg-options", f"data_root={folder}", *TINY),
    ]
    done = run_in_process(*words)
    assert done.returncode == 2
    errors = [x for x in done.stderr.splitlines() if "error:" in x]
    assert len(errors) == 1
    assert f"{name}.png' cannot be decoded" in errors[0]
    assert "Traceback" not in errors[0]
