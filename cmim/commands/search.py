"""Search networks by their milliseconds on this machine, before any training."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from cmim.engine import cli

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cmim.deploy.network_core import NetworkCore
    from cmim.search.design import Space
    from cmim.search.latency_table import Circumstances
    from cmim.search.search import Candidate
    from cmim.search.units import Unit


def build_parser() -> argparse.ArgumentParser:
    """The command's options."""
    parser = cli.make_parser(
        "Predict how long each network of a space takes on this machine, and print and "
        "draw those that no other beats, before anything is trained. The stem, each "
        "block and each head is timed once, where it first occurs, as it would be "
        "exported; a network takes the sum of its parts. --verify measures whole "
        "networks and says how far that is off. Start from a config of a dense task "
        "with an encoder of this project; its method and its tasks stay.",
        "python tools/search.py configs/nyud_joint_bireal_fast_small.py --size 480 640 "
        "--save times.json --verify 5",
    )
    cli.add_config_options(parser)
    parser.add_argument(
        "--size",
        type=cli.positive,
        nargs=2,
        metavar=("HEIGHT", "WIDTH"),
        help="of the input (default: the config's test images)",
    )
    _add_space(parser)
    _add_measuring(parser)
    cli.add_json_option(parser)
    return parser


def stages(word: str) -> tuple[int, ...]:
    """Stages that stay full precision, ``none`` or digits from 1 on.

    Raises:
        argparse.ArgumentTypeError: It is neither.

    Examples:
        >>> stages("none"), stages("14")
        ((), (0, 3))
    """
    if word == "none":
        return ()
    if not word.isdecimal() or "0" in word:
        raise argparse.ArgumentTypeError(
            f"'{word}' names no stages; give none, 1, 4, 14, ..."
        )
    return tuple(sorted({int(digit) - 1 for digit in word}))


def _add_space(parser: argparse.ArgumentParser) -> None:
    space = parser.add_argument_group("space, each value with each")
    space.add_argument("--stems", nargs="+", metavar="STEM",
        help="of the encoder, e.g. imagenet pair grouped (default: the config's)",
    )  # fmt: skip
    space.add_argument("--widths", nargs="+", type=cli.positive, default=[32, 48, 64],
        metavar="N", help="channels of the first stage (default: 32 48 64)",
    )  # fmt: skip
    space.add_argument("--output-strides", nargs="+", type=cli.positive,
        default=[8, 16, 32], metavar="N", help="default: 8 16 32",
    )  # fmt: skip
    space.add_argument("--heads", nargs="+", type=cli.positive, default=[48, 96],
        metavar="N", help="channels of each head (default: 48 96)",
    )  # fmt: skip
    space.add_argument("--real-stages", nargs="+", type=stages, default=[()],
        metavar="STAGES", help="which stages have --rest instead of 1 bit, "
        "e.g. none 1 4 14 (default: none)",
    )  # fmt: skip


def _add_measuring(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--threads", type=cli.positive, default=1, help="CPU threads")
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall",
        help="cpu: the time that the processor spent, for machines that others use, "
        "too (with --threads 1)",
    )  # fmt: skip
    parser.add_argument("--rest", choices=("float32", "int8"), default="float32",
        help="layers beside the binary ones; int8 needs nncf (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("--rounds", type=cli.positive, default=11, help="timed rounds")
    parser.add_argument("--against", choices=("operations", "parameters"),
        default="operations", help="what a slower network must have more of",
    )  # fmt: skip
    parser.add_argument("--verify", type=cli.not_negative, default=0, metavar="N",
        help="measure N whole networks of the front",
    )  # fmt: skip
    parser.add_argument("--measurements", metavar="FILE",
        help="times of parts that --save wrote: the same file gives the same front, "
        "and what it lacks is measured",
    )  # fmt: skip
    parser.add_argument(
        "--save", metavar="FILE", type=cli.output_file, help="write the times of parts"
    )
    parser.add_argument("--out", type=cli.output_folder, default="work_dirs/search",
        metavar="DIR", help="folder of the picture (default: %(default)s)",
    )  # fmt: skip


def run(args: argparse.Namespace) -> None:
    """Do what the options say."""
    from cmim.bench.latency.measure import input_size
    from cmim.engine.config import load_config
    from cmim.search import latency_table as tables
    from cmim.search.search import front_by, predict_all, verify
    from cmim.stages import input_bands

    config = load_config(args.config, args.cfg_options)
    size = tuple(args.size) if args.size else input_size(config)
    here = tables.circumstances_here(args.threads, args.clock, args.rest)
    table = tables.LatencyTable(here)
    if args.measurements:
        table = tables.read_table(args.measurements, here)

    def measure(
        core: NetworkCore, units: Sequence[Unit], places: Sequence[int]
    ) -> dict[int, float]:
        picture = (input_bands(core.backbone), *size)
        return tables.time_units(core, units, places, picture, here, args.rounds)

    found = predict_all(config, _space(args), size, table, measure)
    if args.save:
        table.save(args.save)
    front = front_by(found, args.against)
    if args.verify:
        verify(config, front, args.verify, size, table, args.rounds)
    _report(args, found, front, here, size)


def _space(args: argparse.Namespace) -> Space:
    from cmim.search.design import Space

    return Space(
        args.stems or [None],
        args.widths,
        args.output_strides,
        args.heads,
        args.real_stages,
    )


def _report(
    args: argparse.Namespace,
    found: list[Candidate],
    front: list[Candidate],
    here: Circumstances,
    size: tuple[int, int],
) -> None:
    from cmim.engine.record import write_json
    from cmim.search.report import draw_front, format_candidates, say_error, say_where

    print(f"{len(front)} of {len(found)} networks are beaten by no other:")
    print(format_candidates(front))
    measured = [c for c in front if c.measured is not None]
    if measured:
        print(say_error(measured))
    where = say_where(here, size)
    print(where)
    picture = Path(args.out) / "front.png"
    draw_front(picture, found, f"{Path(args.config).stem}, {where}")
    print(f"picture: {picture}")
    if args.json:
        records = dict(
            front=[c.as_record() for c in front],
            all=[c.as_record() for c in found],
            size=list(size),
            circumstances=vars(here),
        )
        write_json(args.json, records)
