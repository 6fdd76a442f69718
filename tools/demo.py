"""The whole path in a few minutes: rooms, preparation, training, test, pictures."""

import json
import shlex
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))


def run(*words: str) -> None:
    """Print one of the project's commands and run it."""
    print(f"\n$ python {shlex.join(words)}", flush=True)
    subprocess.run([sys.executable, *words], cwd=ROOT, check=True)


def make_data(data: str, frames: int) -> None:
    """Generate rooms in the official file's layout and prepare them, unless done."""
    if (ROOT / data / "prepared.json").exists():
        print(f"{data} is there already")
        return
    raw = f"{data}_raw"
    run("tools/make_rooms.py", "--out", raw, "--frames", str(frames))
    mat = f"{raw}/nyu_depth_v2_labeled.mat"
    run("tools/prepare_nyud.py", "--mat", mat, "--out", data)


def train_and_test(task: str, data: str, work_dir: str, extra: list[str]) -> dict:
    """Train one task, test its last checkpoint, return the figures."""
    config = f"configs/rooms_{task}_bireal.py"
    folder = f"{work_dir}/{task}"
    options = ["--cfg-options", f"data_root={data}"]
    run(
        *("tools/train.py", config, "--work-dir", folder, "--no-test", "--overwrite"),
        *options,
        *extra,
    )
    figures = f"{folder}/test.json"
    run(
        *("tools/test.py", config, f"{folder}/last.pth", "--json", figures),
        *("--save-predictions", f"{folder}/predictions"),
        *options,
    )
    return json.loads((ROOT / figures).read_text())


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

    names = (ROOT / data / "test.txt").read_text().split()
    rows = []
    for name in names[:: max(1, len(names) // frames)][:frames]:
        truth = stored(ROOT / data / "depth" / f"{name}.png")
        guess = ROOT / work_dir / "depth" / "predictions" / f"{name}_depth.png"
        near, far = float(truth.min()), float(truth.max())
        classes = ROOT / work_dir / "seg" / "predictions" / f"{name}_labels.png"
        rows.append(
            [
                read_image(ROOT / data / "images" / f"{name}.png"),
                labels(ROOT / data / "labels40" / f"{name}.png"),
                labels(classes),
                colour_depth(truth, near, far),
                colour_depth(stored(guess), near, far),
            ]
        )
    target = ROOT / work_dir / "predictions.png"
    titles = ["image", "classes", "predicted", "depth", "predicted"]
    write_image(target, contact_sheet(rows, titles))
    return target


def main() -> None:
    from cmim.engine import cli
    from cmim.engine.record import write_json

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
    args = parser.parse_args()
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


if __name__ == "__main__":
    from cmim.engine.run_tool import run_tool

    run_tool(main)
