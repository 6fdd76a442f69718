"""Show on a page what networks say of pictures."""

from __future__ import annotations

import argparse
from typing import Any

from cmim.engine import cli


def build_parser() -> argparse.ArgumentParser:
    """The command's options."""
    parser = cli.make_parser(
        "Serve a page on this machine that shows what networks say of a picture: "
        "choose, drop or paste one, or take one with the camera; point at a place to "
        "read its class or metres; switch between networks and see the milliseconds of "
        "each. Nothing is written to disk or sent elsewhere. Needs the extra 'serve'.",
        "python tools/serve.py "
        "configs/nyud_seg_fp_small.py work_dirs/nyud_seg_fp_small/last.pth "
        "configs/nyud_seg_bireal_small.py seg.xml --names 'full precision' '1 bit'",
    )
    parser.add_argument(
        "networks",
        nargs="+",
        metavar="CONFIG FILE",
        help="config and checkpoint, or .xml, .tflite, .qonnx, of each network",
    )
    parser.add_argument(
        "--names",
        nargs="+",
        metavar="NAME",
        help="what the page calls the networks, in their order; default: their configs",
    )
    parser.add_argument(
        "--cfg-options",
        nargs="+",
        action=cli.OptionsAction,
        metavar="NAME=VALUE",
        help="override parts of all the configs",
    )
    _add_place(parser)
    _add_limits(parser)
    return parser


def _add_place(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen at, default: 127.0.0.1, which only this machine "
        "reaches; 0.0.0.0 for the whole network, without a password",
    )
    parser.add_argument(
        "--port", type=cli.not_negative, default=8000, help="default: 8000; 0: any free"
    )
    parser.add_argument(
        "--allow-name",
        nargs="+",
        default=[],
        metavar="NAME",
        help="names of this machine that browsers may use, beside its addresses",
    )


def _add_limits(parser: argparse.ArgumentParser) -> None:
    bounds = (
        ("--megabytes", 16, cli.positive, "of a picture file"),
        ("--megapixels", 50, cli.positive, "of a picture"),
        ("--waiting", 8, cli.not_negative, "pictures that wait while one is looked at"),
        ("--seconds", 30, cli.positive, "for a picture to come, to wait, to be seen"),
    )
    for name, most, kind, what in bounds:
        said = f"limit: {what}, default: {most}"
        parser.add_argument(name, type=kind, default=most, help=said)


def run(args: argparse.Namespace) -> None:
    """Serve until Ctrl+C."""
    from cmim.optional_packages import require_packages

    require_packages("the page", "fastapi", "uvicorn")

    from cmim.serve.app import make_app
    from cmim.serve.limits import Limits
    from cmim.serve.listen import listen, serve

    limits = Limits(
        most_bytes=args.megabytes * 1_000_000,
        most_pixels=args.megapixels * 1_000_000,
        waiting=args.waiting,
        seconds=args.seconds,
    )
    # First: a port in use shall not be said after a minute of loading.
    with listen(args.host, args.port) as socket:
        networks = _open_networks(args, limits.most_pixels)
        serve(make_app(networks, limits, args.allow_name), socket)


def _open_networks(args: argparse.Namespace, most: int) -> list[Any]:
    from cmim.engine.config import load_config
    from cmim.serve.naming import names_of, pairs_of
    from tasks.picture_answer import open_network

    pairs = pairs_of(args.networks)
    names = names_of(pairs, args.names)
    return [
        open_network(load_config(config, args.cfg_options), file, name, most)
        for (config, file), name in zip(pairs, names, strict=True)
    ]
