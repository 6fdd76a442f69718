"""The whole path in a few minutes: rooms, preparation, training, test, pictures."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

import cmim
from cmim.engine import cli


def command(*words: str) -> None:
    """Print one of the project's commands and run it in a process of its own."""
    print(f"\n$ cmim {shlex.join(words)}", flush=True)
    found = [str(Path(cmim.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    path = os.pathsep.join(part for part in found if part)
    environment = dict(os.environ, PYTHONPATH=path)
    line = [sys.executable, "-m", "cmim", *words]
    subprocess.run(line, env=environment, check=True)


def make_data(data: str, frames: int) -> None:
    """Generate rooms in the official file's layout and prepare them, unless done."""
    if (Path(data) / "prepared.json").exists():
        print(f"{data} is there already")
        return
    raw = f"{data}_raw"
    command("make-rooms", "--out", raw, "--frames", str(frames))
    mat = f"{raw}/nyu_depth_v2_labeled.mat"
    command("prepare-nyud", "--mat", mat, "--out", data)


def train_and_test(task: str, data: str, work_dir: str, extra: list[str]) -> dict:
    """Train one task, test its last checkpoint, return the figures."""
    config = f"rooms_{task}_bireal"
    folder = f"{work_dir}/{task}"
    options = ["--cfg-options", f"data_root={data}"]
    command(
        *("train", config, "--work-dir", folder, "--no-test", "--overwrite"),
        *options,
        *extra,
    )
    figures = f"{folder}/test.json"
    command(
        *("test", config, f"{folder}/last.pth", "--json", figures),
        *("--save-predictions", f"{folder}/predictions"),
        *options,
    )
    return json.loads(Path(figures).read_text())


def picture(data: str, work_dir: str, frames: int = 6) -> Path:
    """Image, true and predicted classes, true and predicted depth, side by side."""
    import numpy as np

    from tasks.picture_decoder import decode
    from tasks.pictures import (
        colour_classes,
        colour_depth,
        contact_sheet,
        read_image,
        write_image,
    )
    from tasks.whole_file import read_whole

    def stored(path: Path) -> np.ndarray:
        return decode(read_whole(path), path, -1)

    def labels(path: Path) -> np.ndarray:
        return colour_classes(stored(path) - np.uint8(1))

    names = (Path(data) / "test.txt").read_text().split()
    rows = []
    for name in names[:: max(1, len(names) // frames)][:frames]:
        truth = stored(Path(data) / "depth" / f"{name}.png")
        guess = Path(work_dir) / "depth" / "predictions" / f"{name}_depth.png"
        near, far = float(truth.min()), float(truth.max())
        classes = Path(work_dir) / "seg" / "predictions" / f"{name}_labels.png"
        rows.append(
            [
                read_image(Path(data) / "images" / f"{name}.png"),
                labels(Path(data) / "labels40" / f"{name}.png"),
                labels(classes),
                colour_depth(truth, near, far),
                colour_depth(stored(guess), near, far),
            ]
        )
    target = Path(work_dir) / "predictions.png"
    titles = ["image", "classes", "predicted", "depth", "predicted"]
    write_image(target, contact_sheet(rows, titles))
    return target


def build_parser() -> argparse.ArgumentParser:
    """The command's options."""

    parser = cli.make_parser(
        "Generate rooms, prepare them as NYUv2, train segmentation and depth with "
        "CMIM, test both, and draw their predictions; minutes on two cores.",
        "python tools/demo.py",
    )
    parser.add_argument(
        "--data",
        default="data/rooms",
        type=cli.output_folder,
        help="where the rooms lie",
    )
    parser.add_argument(
        "--work-dir",
        default="work_dirs/demo",
        type=cli.output_folder,
        help="folder of the runs",
    )
    parser.add_argument(
        "--frames", type=cli.positive, default=320, help="rooms to generate"
    )
    parser.add_argument(
        "--steps",
        type=cli.positive,
        help="training steps a task (default: the config's)",
    )
    cli.add_json_option(parser)
    return parser


def run(args: argparse.Namespace) -> None:
    """Do what the options say."""
    from cmim.engine.record import write_json

    begin = time.perf_counter()
    make_data(args.data, args.frames)
    steps = [f"train_cfg.max_iters={args.steps}"] if args.steps else []
    seg = train_and_test("seg", args.data, args.work_dir, steps)
    depth = train_and_test("depth", args.data, args.work_dir, steps)
    target = picture(args.data, args.work_dir)
    minutes = (time.perf_counter() - begin) / 60
    print(
        f"\nsegmentation mIoU {seg['mIoU']:.2f} %, pixel accuracy "
        f"{seg['pixel_accuracy']:.2f} %; depth RMSE {depth['rmse']:.3f} m; "
        f"{minutes:.1f} minutes\npicture: {target}"
    )
    if args.json:
        write_json(args.json, dict(seg=seg, depth=depth, minutes=round(minutes, 2)))
