"""Options of the longer commands of ``tools/bench.py``."""

from __future__ import annotations

import argparse

from cmim.engine import cli


def add_out_option(parser: argparse.ArgumentParser, what: str) -> None:
    """Add ``--out DIR``, a folder named after what is measured."""
    parser.add_argument(
        "--out",
        type=cli.output_folder,
        metavar="DIR",
        default=f"work_dirs/{what}",
        help="folder of the picture (default: %(default)s)",
    )


def add_bounds_options(bounds: argparse.ArgumentParser) -> None:
    """Add the options of ``bench.py bounds``."""
    bounds.add_argument(
        "--steps-per-level",
        type=cli.positive,
        default=1000,
        help="training steps of a level",
    )
    bounds.add_argument("--batch", type=cli.positive, default=64, help="pairs a step")
    bounds.add_argument(
        "--dim", type=cli.positive, default=20, help="columns of each variable"
    )
    bounds.add_argument(
        "--critic",
        choices=("separable", "concat"),
        default="separable",
        help="inner product of two networks, or one of both (50 times as slow)",
    )
    bounds.add_argument("--seed", type=cli.seed, default=0)
    bounds.add_argument(
        "--threads", type=cli.positive, default=1, help="CPU threads of torch"
    )
    add_out_option(bounds, "bounds")
    cli.add_json_option(bounds)


def add_loss_command(what: argparse._SubParsersAction) -> None:
    """Add ``bench.py loss``."""
    from cmim.bench.negatives import SIZES

    loss = what.add_parser("loss", help="the contrastive loss against released code")
    loss.add_argument("--batch", type=cli.positive, default=100, help="images")
    loss.add_argument(
        "--negatives", type=cli.positive, default=4096, help="of each image"
    )
    loss.add_argument(
        "--rows", type=cli.positive, default=50000, help="images in the bank"
    )
    loss.add_argument(
        "--features", type=cli.positive, default=512, help="length of features"
    )
    loss.add_argument("--rounds", type=cli.positive, default=15, help="timed rounds")
    loss.add_argument(
        "--sizes",
        type=cli.positive,
        nargs="+",
        default=SIZES,
        metavar="N",
        help="numbers of negatives for time and memory (default: 2^10 to 2^20)",
    )
    loss.add_argument("--config", help="also: the loss's share of this config's steps")
    loss.add_argument("--amp", action="store_true", help="bfloat16 in these steps")
    loss.add_argument("--threads", type=cli.positive, help="CPU threads of torch")
    add_out_option(loss, "loss")
    cli.add_json_option(loss)


def add_latency_command(what: argparse._SubParsersAction) -> None:
    """Add ``bench.py latency``."""
    latency = what.add_parser("latency", help="inference of a network, 1-bit and not")
    cli.add_config_options(latency)
    latency.add_argument(
        "checkpoint", nargs="?", help="of the binary network (default: random weights)"
    )
    latency.add_argument("--twin", metavar="CHECKPOINT", help="of its twin")
    latency.add_argument(
        "--size",
        type=cli.positive,
        nargs=2,
        metavar=("HEIGHT", "WIDTH"),
        help="of the input",
    )
    latency.add_argument(
        "--threads",
        type=cli.positive,
        nargs="+",
        default=[1, 2],
        help="numbers of CPU threads",
    )
    latency.add_argument("--rounds", type=cli.positive, default=11, help="timed rounds")
    latency.add_argument(
        "--images",
        type=cli.not_negative,
        default=0,
        metavar="N",
        help="also: accuracy of each variant on the first N test images",
    )
    latency.add_argument(
        "--profile", action="store_true", help="also list the costliest nodes"
    )
    add_out_option(latency, "latency")
    cli.add_json_option(latency)
