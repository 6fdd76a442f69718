"""Measure costs."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from cmim.engine import cli


def measure_step(args: argparse.Namespace) -> dict:
    from cmim.bench.step import (
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

    from cmim.bench.layer import (
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
    from cmim.bench.information import bench_estimators

    return bench_estimators(args.samples, args.repeats, args.out)


def measure_bounds(args: argparse.Namespace) -> dict:
    from cmim.analysis.bounds_experiment import Setup
    from cmim.bench.information import bench_bounds

    setup = Setup(args.steps_per_level, args.batch, args.dim, args.critic, args.seed)
    return bench_bounds(setup, args.out)


def measure_loss(args: argparse.Namespace) -> dict:
    from cmim.bench.loss import bench_loss, format_loss, share_of_step
    from cmim.bench.negatives import (
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


def measure_latency(args: argparse.Namespace) -> dict:
    from cmim.deploy.requirements import require_openvino
    from cmim.engine.config import load_config

    require_openvino()
    from cmim.bench.latency import bench_latency
    from cmim.bench.latency_report import NODES, draw_latency, format_latency

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


def build_parser() -> argparse.ArgumentParser:
    """The command's options."""
    from cmim.bench.command_options import (
        add_bounds_options,
        add_latency_command,
        add_loss_command,
        add_out_option,
    )

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
        "python tools/bench.py step configs/nyud_seg_bireal_small.py --profile\n"
        "  python tools/bench.py layer --stage 2 --json layer.json",
    )
    what = parser.add_subparsers(dest="what", required=True, help="what to measure")
    step = what.add_parser("step", help="training steps of a config")
    cli.add_config_options(step)
    step.add_argument("--steps", type=cli.positive, default=15, help="timed rounds")
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
    layer.add_argument("--stage", type=cli.positive, default=1, choices=(1, 2, 3, 4))
    layer.add_argument(
        "--channels", type=cli.positive, help="instead of the stage's, stride 1"
    )
    layer.add_argument(
        "--size", type=cli.positive, help="pixels, instead of the stage's"
    )
    layer.add_argument("--batch", type=cli.positive, default=16, help="images")
    layer.add_argument("--rounds", type=cli.positive, default=15, help="timed rounds")
    layer.add_argument(
        "--channels-last", action="store_true", help="layout of both, instead of NCHW"
    )
    for command in (step, layer):
        command.add_argument("--amp", action="store_true", help="bfloat16 autocast")
        command.add_argument(
            "--threads", type=cli.positive, help="CPU threads of torch"
        )
        command.add_argument(
            "--profile", action="store_true", help="also list the costliest operators"
        )
        cli.add_json_option(command)
    add_loss_command(what)
    add_latency_command(what)
    estimators = what.add_parser(
        "estimators", help="estimators of mutual information against known values"
    )
    estimators.add_argument(
        "--samples", type=cli.positive, default=1000, help="a data set"
    )
    estimators.add_argument(
        "--repeats", type=cli.positive, default=10, help="data sets a case"
    )
    add_out_option(estimators, "estimators")
    estimators.set_defaults(threads=None)
    cli.add_json_option(estimators)
    add_bounds_options(
        what.add_parser("bounds", help="trained bounds against rising information")
    )
    return parser


def run(args: argparse.Namespace) -> None:
    """Do what the options say."""
    import torch
    from mmengine.device import get_device

    from cmim.engine.precision import warning_of
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
    if getattr(args, "amp", False):
        warning = warning_of("bfloat16", get_device())
        if warning:
            print(warning, file=sys.stderr)
    figures = measure[args.what](args)
    if args.json:
        write_json(args.json, figures)
