"""List the configs that come with the project."""

from __future__ import annotations

import argparse

from cmim.engine import cli


def build_parser() -> argparse.ArgumentParser:
    """The command's options."""
    parser = cli.make_parser(
        "List the configs that come with the project, by name and with the first line "
        "of their description. Every command takes a name in place of a file; --path "
        "says where a config lies. To change one, copy the whole folder: a config "
        "reads its bases beside it.",
        "python tools/configs.py nyud_seg\n"
        "  cp -r $(dirname $(python tools/configs.py nyud_seg_bireal --path)) mine",
    )
    parser.add_argument(
        "part", nargs="?", default="", help="only names that contain this"
    )
    parser.add_argument(
        "--path", action="store_true", help="print the files' paths instead"
    )
    return parser


def run(args: argparse.Namespace) -> int:
    """Print the list; status 1 where no config has such a name."""
    from cmim.engine.config_names import described_configs

    found = {
        path: text
        for path, text in described_configs().items()
        if args.part in path.stem
    }
    exact = [path for path in found if path.stem == args.part]
    if args.path:
        print("\n".join(str(path) for path in exact or found))
    else:
        width = max((len(path.stem) for path in found), default=0)
        for path, text in found.items():
            print(f"{path.stem:{width}s}  {text}")
    return 0 if found else 1
