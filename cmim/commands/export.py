"""Export a trained network with real 1-bit convolutions."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from cmim.engine import cli

if TYPE_CHECKING:
    from mmengine.config import Config


def build_parser() -> argparse.ArgumentParser:
    """The command's options."""
    from cmim.deploy.formats import export_formats

    known = export_formats()
    formats = "".join(f"  {form.suffix}: {form.about}.\n" for form in known.values())
    parser = cli.make_parser(
        "Export a trained network with real 1-bit weights and check the file.\n\n"
        f"formats:\n{formats}\n"
        "Prints the file's size and a table of layers.",
        "python tools/export.py configs/nyud_seg_bireal_small.py "
        "work_dirs/nyud_seg_bireal_small/last.pth --out seg.xml --verify",
    )
    cli.add_config_options(parser)
    parser.add_argument("checkpoint", help="WORK_DIR/last.pth of a training run")
    endings = "|".join(form.suffix for form in known.values())
    parser.add_argument(
        "--out", required=True, type=cli.output_file, metavar=f"MODEL{endings}"
    )
    parser.add_argument(
        "--weights-only",
        action="store_true",
        help="write a checkpoint, MODEL.pth, of signs and scales: one bit a binary "
        "weight, no latent weights, no optimizer; tools/test.py, predict.py and "
        "export.py take it, and nothing is trained from it",
    )
    parser.add_argument(
        "--size",
        type=cli.positive,
        nargs=2,
        metavar=("HEIGHT", "WIDTH"),
        help="of the input in pixels (default: the config's test images)",
    )
    _add_file_options(parser)
    _add_checking_options(parser)
    cli.add_json_option(parser)
    return parser


def _add_file_options(parser: argparse.ArgumentParser) -> None:
    from cmim.deploy.formats import export_formats, rests

    parser.add_argument(
        "--format",
        choices=tuple(export_formats()),
        help="of the file (default: by its ending)",
    )
    parser.add_argument(
        "--batch",
        type=cli.positive,
        default=1,
        help="images at a time (.npz takes any number)",
    )
    parser.add_argument(
        "--rest",
        choices=tuple(rests()),
        default="float32",
        help="what the other layers become: int8 quantizes them after training, on "
        f"64 training images ({', '.join(rests()['int8'])} only, needs nncf)",
    )


def _add_checking_options(parser: argparse.ArgumentParser) -> None:
    from cmim.deploy.formats import export_formats

    known = export_formats().values()
    checks = "; ".join(f"{form.suffix}: {form.checks}" for form in known)
    parser.add_argument(
        "--verify",
        action="store_true",
        help=f"compare ({checks})",
    )
    parser.add_argument(
        "--sample",
        metavar="FILE.npz",
        type=cli.output_file,
        help="also write a test image (image: uint8 RGB) and what the network makes of "
        "it (output, float32; of a joint model output_TASK), to check other machines "
        "with",
    )


def run(args: argparse.Namespace) -> None:
    """Do what the options say."""
    from cmim.engine.config import load_config
    from cmim.engine.record import write_json
    from cmim.export.network import export_network, format_export

    config = load_config(args.config, args.cfg_options)
    if args.weights_only:
        run_weights_only(args, config)
        return
    figures = export_network(
        config,
        args.checkpoint,
        args.out,
        size=tuple(args.size) if args.size else None,
        batch=args.batch,
        verify=args.verify,
        rest=args.rest,
        form=args.format,
        sample=args.sample,
    )
    print(format_export(figures))
    if args.json:
        write_json(args.json, figures)
    if figures["wrong"]:
        sys.exit(1)


def run_weights_only(args: argparse.Namespace, config: Config) -> None:
    """Do what ``--weights-only`` says, which has few options."""
    from cmim.engine.config import ConfigError
    from cmim.engine.record import write_json
    from cmim.export.weights import export_weights, format_weights

    given = {
        "--format": args.format is not None,
        "--size": args.size is not None,
        "--batch": args.batch != 1,
        "--rest": args.rest != "float32",
        "--verify": args.verify,
        "--sample": args.sample is not None,
    }
    if unused := [name for name, is_given in given.items() if is_given]:
        raise ConfigError(
            f"--weights-only writes a checkpoint for any size and compares every "
            f"weight by itself: leave {', '.join(unused)} out"
        )
    figures = export_weights(config, args.checkpoint, args.out)
    print(format_weights(figures))
    if args.json:
        write_json(args.json, figures)
