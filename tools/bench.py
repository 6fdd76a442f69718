"""Measure costs."""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


def measure_step(args: argparse.Namespace) -> dict:
    from cmim.engine.bench_step import VARIANTS, bench_step, profile_step
    from cmim.engine.config import load_config

    config = load_config(args.config, args.cfg_options)
    figures = bench_step(
        config, steps=args.steps, amp=args.amp, methods=args.methods or ()
    )
    what = "method" if args.methods else "partner"
    for name in args.methods or VARIANTS:
        row = figures[name]
        print(
            f"{what} {name:14s} {row['ms']:8.1f} ms a step  "
            f"{row['images_per_second']:6.1f} images/s  "
            f"overhead {100 * row['overhead']:+.1f} %"
        )
    if args.profile:
        print(profile_step(config, args.amp, "latent"))
    return figures


def measure_layer(args: argparse.Namespace) -> dict:
    import torch

    from cmim.engine.bench_layer import STAGES, Stage, bench_method, profile_layer

    stage = STAGES[args.stage]
    if args.channels or args.size:
        width = args.channels or stage.channels
        stage = Stage(width, width, args.size or stage.size, 1)
    figures = dict(
        stage=stage._asdict(),
        batch=args.batch,
        rounds=args.rounds,
        amp=args.amp,
        channels_last=args.channels_last,
        threads=torch.get_num_threads(),
    )
    for method in args.methods:
        figures[method] = bench_method(
            method, stage, args.batch, args.rounds, args.amp, args.channels_last
        )
        row = figures[method]
        ours, published = row["ours"], row["published"]
        print(
            f"{method:8s} {ours['ms']:.1f} ms against {published['ms']:.1f}, "
            f"{row['speedup']:.2f} x as fast; kept {ours['kept_mb']:.1f} MB against "
            f"{published['kept_mb']:.1f}, {row['memory_ratio']:.2f} x; "
            f"peak {row['peak_ratio']:.2f} x"
        )
        if args.profile:
            options = (args.batch, args.amp, args.channels_last)
            print(profile_layer(method, stage, *options))
    return figures


def measure_estimators(args: argparse.Namespace) -> dict:
    from cmim.analysis.gaussian_check import check_estimators, format_checks
    from cmim.analysis.gaussian_picture import draw_checks

    rows = check_estimators(args.samples, args.repeats)
    print(format_checks(rows))
    picture = Path(args.out) / "estimators.png"
    draw_checks(picture, rows, f"{args.samples} samples, {args.repeats} repetitions")
    print(f"\npicture: {picture}")
    return dict(samples=args.samples, repeats=args.repeats, unit="nats", rows=rows)


def measure_bounds(args: argparse.Namespace) -> dict:
    from dataclasses import asdict

    from cmim.analysis.bounds_experiment import (
        BOUNDS,
        Setup,
        format_table,
        table_of,
        train_bound,
    )
    from cmim.analysis.bounds_picture import draw_bounds

    setup = Setup(args.steps_per_level, args.batch, args.dim, args.critic, args.seed)
    curves = {name: train_bound(name, setup) for name in BOUNDS}
    rows = table_of(curves, setup)
    print(format_table(rows))
    picture = Path(args.out) / "bounds.png"
    draw_bounds(picture, curves, setup)
    print(f"\npicture: {picture}")
    return dict(**asdict(setup), unit="nats", rows=rows)


def add_bounds_options(bounds: argparse.ArgumentParser) -> None:
    from cmim.engine import cli

    bounds.add_argument(
        "--steps-per-level", type=int, default=1000, help="training steps of a level"
    )
    bounds.add_argument("--batch", type=int, default=64, help="pairs a step")
    bounds.add_argument("--dim", type=int, default=20, help="columns of each variable")
    bounds.add_argument(
        "--critic",
        choices=("separable", "concat"),
        default="separable",
        help="inner product of two networks, or one of both (50 times as slow)",
    )
    bounds.add_argument("--seed", type=int, default=0)
    bounds.add_argument("--threads", type=int, default=1, help="CPU threads of torch")
    bounds.add_argument(
        "--out",
        metavar="DIR",
        default="work_dirs/bounds",
        help="folder of the picture (default: %(default)s)",
    )
    cli.add_json_option(bounds)


def measure_loss(args: argparse.Namespace) -> dict:
    from cmim.engine.bench_loss import OURS, bench_loss, share_of_step
    from cmim.engine.bench_negatives import (
        bench_negatives,
        draw_negatives,
        format_negatives,
    )
    from cmim.engine.config import load_config

    config = load_config(args.config) if args.config else None
    figures = bench_loss(
        args.batch, args.negatives, args.rows, args.features, args.rounds
    )
    print(
        f"as released {figures['released']['ms']:.1f} ms, and "
        f"{figures['sampling_ms']:.1f} ms to draw its negatives"
    )
    for name in OURS:
        row = figures[name]
        print(f"{name:14s} {row['ms']:8.2f} ms, {row['speedup']:.1f} x as fast")
    figures.update(bench_negatives(args.sizes, args.batch))
    print(format_negatives(figures))
    picture = Path(args.out) / "negatives.png"
    draw_negatives(picture, figures)
    print(f"picture: {picture}")
    if config is not None:
        figures.update(share_of_step(config, args.rounds, args.amp))
        for name, share in figures["share_of_step"].items():
            print(f"share of a training step, {name:16s} {100 * share:5.1f} %")
    return figures


def add_loss_command(what: argparse._SubParsersAction) -> None:
    from cmim.engine import cli
    from cmim.engine.bench_negatives import SIZES

    loss = what.add_parser("loss", help="the contrastive loss against released code")
    loss.add_argument("--batch", type=int, default=100, help="images")
    loss.add_argument("--negatives", type=int, default=4096, help="of each image")
    loss.add_argument("--rows", type=int, default=50000, help="images in the bank")
    loss.add_argument("--features", type=int, default=512, help="length of features")
    loss.add_argument("--rounds", type=int, default=15, help="timed rounds")
    loss.add_argument(
        "--sizes",
        type=int,
        nargs="+",
        default=SIZES,
        metavar="N",
        help="numbers of negatives for time and memory (default: 2^10 to 2^20)",
    )
    loss.add_argument("--config", help="also: the loss's share of this config's steps")
    loss.add_argument("--amp", action="store_true", help="bfloat16 in these steps")
    loss.add_argument("--threads", type=int, help="CPU threads of torch")
    loss.add_argument(
        "--out",
        metavar="DIR",
        default="work_dirs/loss",
        help="folder of the picture (default: %(default)s)",
    )
    cli.add_json_option(loss)


def main() -> None:
    from cmim.engine import cli

    parser = cli.make_parser(
        "Measure costs on this machine, on random data; what is compared takes turns "
        "in one run. 'step' times training steps with the contrastive loss off, with "
        "the latent partner and with the teacher. 'layer' times forward and backward "
        "pass of a ResNet-18 stage and counts the memory it keeps, against the way "
        "published code writes it. 'loss' times the contrastive loss against the way "
        "CMIM's released code writes it, and its time and memory by number of "
        "negatives. 'estimators' compares estimates of mutual information with known "
        "values, 'bounds' bounds with trained critics.",
        "python tools/bench.py step configs/nyud_seg_bireal_small.py --amp --profile\n"
        "  python tools/bench.py layer --stage 2 --json layer.json",
    )
    what = parser.add_subparsers(dest="what", required=True, help="what to measure")
    step = what.add_parser("step", help="training steps of a config")
    cli.add_config_options(step)
    step.add_argument("--steps", type=int, default=15, help="timed rounds")
    step.add_argument(
        "--methods",
        nargs="+",
        metavar="NAME",
        help="compare these binarization methods instead; the first is the baseline",
    )
    layer = what.add_parser("layer", help="blocks against published code")
    layer.add_argument(
        "--methods", nargs="+", default=["bireal", "irnet"], help="methods to compare"
    )
    layer.add_argument("--stage", type=int, default=1, choices=(1, 2, 3, 4))
    layer.add_argument("--channels", type=int, help="instead of the stage's, stride 1")
    layer.add_argument("--size", type=int, help="pixels, instead of the stage's")
    layer.add_argument("--batch", type=int, default=16, help="images")
    layer.add_argument("--rounds", type=int, default=15, help="timed rounds")
    layer.add_argument(
        "--channels-last", action="store_true", help="layout of both, instead of NCHW"
    )
    for command in (step, layer):
        command.add_argument("--amp", action="store_true", help="bfloat16 autocast")
        command.add_argument("--threads", type=int, help="CPU threads of torch")
        command.add_argument(
            "--profile", action="store_true", help="also list the costliest operators"
        )
        cli.add_json_option(command)
    add_loss_command(what)
    estimators = what.add_parser(
        "estimators", help="estimators of mutual information against known values"
    )
    estimators.add_argument("--samples", type=int, default=1000, help="a data set")
    estimators.add_argument("--repeats", type=int, default=10, help="data sets a case")
    estimators.add_argument(
        "--out",
        metavar="DIR",
        default="work_dirs/estimators",
        help="folder of the picture (default: %(default)s)",
    )
    estimators.set_defaults(threads=None)
    cli.add_json_option(estimators)
    add_bounds_options(
        what.add_parser("bounds", help="trained bounds against rising information")
    )
    args = parser.parse_args()

    import torch

    from cmim.engine.record import write_json

    if args.threads:
        torch.set_num_threads(args.threads)
    measure = {
        "step": measure_step,
        "layer": measure_layer,
        "loss": measure_loss,
        "estimators": measure_estimators,
        "bounds": measure_bounds,
    }
    figures = measure[args.what](args)
    if args.json:
        write_json(args.json, figures)


if __name__ == "__main__":
    from cmim.engine.cli import run_tool

    run_tool(main)
