"""Measure costs."""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


def measure_step(args: argparse.Namespace) -> dict:
    from cmim.engine.bench_step import (
        VARIANTS,
        bench_step,
        format_step,
        profile_step,
    )
    from cmim.engine.config import load_config

    config = load_config(args.config, args.cfg_options)
    figures = bench_step(
        config, steps=args.steps, amp=args.amp, methods=args.methods or ()
    )
    print(format_step(figures, args.methods or VARIANTS))
    if args.profile:
        print(profile_step(config, args.amp, "latent"))
    return figures


def measure_layer(args: argparse.Namespace) -> dict:
    import torch

    from cmim.engine.bench_layer import (
        STAGES,
        Stage,
        bench_method,
        format_method,
        profile_layer,
    )

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
        print(format_method(method, figures[method]))
        if args.profile:
            options = (args.batch, args.amp, args.channels_last)
            print(profile_layer(method, stage, *options))
    return figures


def measure_estimators(args: argparse.Namespace) -> dict:
    from cmim.engine.bench_information import bench_estimators

    return bench_estimators(args.samples, args.repeats, args.out)


def measure_bounds(args: argparse.Namespace) -> dict:
    from cmim.analysis.bounds_experiment import Setup
    from cmim.engine.bench_information import bench_bounds

    setup = Setup(args.steps_per_level, args.batch, args.dim, args.critic, args.seed)
    return bench_bounds(setup, args.out)


def add_out_option(parser: argparse.ArgumentParser, what: str) -> None:
    parser.add_argument(
        "--out",
        metavar="DIR",
        default=f"work_dirs/{what}",
        help="folder of the picture (default: %(default)s)",
    )


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
    add_out_option(bounds, "bounds")
    cli.add_json_option(bounds)


def measure_loss(args: argparse.Namespace) -> dict:
    from cmim.engine.bench_loss import bench_loss, format_loss, share_of_step
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
    print(format_loss(figures))
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
    add_out_option(loss, "loss")
    cli.add_json_option(loss)


def measure_latency(args: argparse.Namespace) -> dict:
    from cmim.deploy.requirements import require_openvino
    from cmim.engine.config import load_config

    require_openvino()
    from cmim.engine.bench_latency import bench_latency
    from cmim.engine.latency_report import NODES, draw_latency, format_latency

    figures = bench_latency(
        load_config(args.config, args.cfg_options),
        args.checkpoint,
        args.twin,
        size=tuple(args.size) if args.size else None,
        threads=args.threads,
        rounds=args.rounds,
        images=args.images,
        out=args.out,
    )
    print(format_latency(figures, NODES if args.profile else 0))
    picture = Path(args.out) / "latency.png"
    draw_latency(picture, figures, Path(args.config).stem)
    print(f"picture: {picture}")
    return figures


def add_latency_command(what: argparse._SubParsersAction) -> None:
    from cmim.engine import cli

    latency = what.add_parser("latency", help="inference of a network, 1-bit and not")
    cli.add_config_options(latency)
    latency.add_argument(
        "checkpoint", nargs="?", help="of the binary network (default: random weights)"
    )
    latency.add_argument("--twin", metavar="CHECKPOINT", help="of its twin")
    latency.add_argument(
        "--size", type=int, nargs=2, metavar=("HEIGHT", "WIDTH"), help="of the input"
    )
    latency.add_argument(
        "--threads", type=int, nargs="+", default=[1, 2], help="numbers of CPU threads"
    )
    latency.add_argument("--rounds", type=int, default=11, help="timed rounds")
    latency.add_argument(
        "--images",
        type=int,
        default=0,
        metavar="N",
        help="also: accuracy of each variant on the first N test images",
    )
    latency.add_argument(
        "--profile", action="store_true", help="also list the costliest nodes"
    )
    add_out_option(latency, "latency")
    cli.add_json_option(latency)


def main() -> None:
    from cmim.engine import cli

    parser = cli.make_parser(
        "Measure costs on this machine, on random data; what is compared takes turns "
        "in one run. 'step' times training steps with the contrastive loss off, with "
        "the latent partner and with the teacher. 'layer' times forward and backward "
        "pass of a ResNet-18 stage and counts the memory it keeps, against the way "
        "published code writes it. 'loss' times the contrastive loss against the way "
        "CMIM's released code writes it, and its time and memory by number of "
        "negatives. 'latency' times inference: torch, OpenVINO in float32, bfloat16 "
        "and 8 bits, and with real 1-bit convolutions. 'estimators' compares "
        "estimates of mutual information with known values, 'bounds' bounds with "
        "trained critics.",
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
    add_latency_command(what)
    estimators = what.add_parser(
        "estimators", help="estimators of mutual information against known values"
    )
    estimators.add_argument("--samples", type=int, default=1000, help="a data set")
    estimators.add_argument("--repeats", type=int, default=10, help="data sets a case")
    add_out_option(estimators, "estimators")
    estimators.set_defaults(threads=None)
    cli.add_json_option(estimators)
    add_bounds_options(
        what.add_parser("bounds", help="trained bounds against rising information")
    )
    args = parser.parse_args()

    import torch

    from cmim.engine.record import write_json

    if isinstance(args.threads, int):
        torch.set_num_threads(args.threads)
    measure = {
        "step": measure_step,
        "layer": measure_layer,
        "loss": measure_loss,
        "estimators": measure_estimators,
        "bounds": measure_bounds,
        "latency": measure_latency,
    }
    figures = measure[args.what](args)
    if args.json:
        write_json(args.json, figures)


if __name__ == "__main__":
    from cmim.engine.run_tool import run_tool

    run_tool(main)
