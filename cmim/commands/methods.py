"""List the binarization methods and draw what they do."""

from __future__ import annotations

import argparse

from cmim.engine import cli


def build_parser() -> argparse.ArgumentParser:
    """The command's options."""
    parser = cli.make_parser(
        "List the binarization methods: paper, the top-1 that it states for ImageNet "
        "and a\nResNet-18 of one bit (published there, not measured here), what stays "
        "full\nprecision, options with their defaults, and what the code was compared "
        "with. Draw\nthe forward pass and the surrogate gradient of their activation "
        "and weight\nbinarizers into one picture.\n\n"
        "Use a method by its name, or in a config with other options:\n"
        "  tools/train.py CONFIG --cfg-options model.model.backbone.method=irnet\n"
        "  backbone=dict(..., method=dict(name='irnet', t_min=0.001))",
        "python tools/methods.py\n"
        "  python tools/methods.py bireal irnet recu --picture three.pdf\n"
        "  python tools/methods.py --no-picture --json methods.json",
    )
    parser.add_argument("names", nargs="*", metavar="METHOD", help="only these")
    parser.add_argument(
        "--picture",
        metavar="FILE",
        type=cli.picture_file,
        default="work_dirs/methods.png",
        help="PNG, PDF or SVG to draw into (default: %(default)s)",
    )
    parser.add_argument(
        "--no-picture", action="store_true", help="list only, which is faster"
    )
    cli.add_json_option(parser)
    return parser


def run(args: argparse.Namespace) -> None:
    """Do what the options say."""
    import shutil

    from cmim.analysis.method_picture import draw_methods
    from cmim.analysis.method_table import describe_methods, format_methods
    from cmim.engine.record import write_json

    rows = describe_methods(args.names or None)
    print(format_methods(rows, shutil.get_terminal_size((140, 24)).columns))
    if args.json:
        write_json(args.json, rows)
    if not args.no_picture:
        draw_methods(args.picture, args.names or None)
        print(f"\npicture: {args.picture}")
