"""Look for known holes in the installed packages and in the lower bounds."""

from __future__ import annotations

import argparse
import sys

from cmim.engine import cli


def build_parser() -> argparse.ArgumentParser:
    """The command's options."""
    parser = cli.make_parser(
        "Compare the installed packages, and the lower bounds in setup.cfg, with a "
        "stored\nlist of known holes; then ask pip-audit, which needs a network, and "
        "say so where it\ncould not look. Exits with 1 where there are holes.",
        "python tools/audit.py\n  python tools/audit.py --offline",
    )
    parser.add_argument(
        "--offline", action="store_true", help="the stored list only; asks nobody"
    )
    return parser


def run(args: argparse.Namespace) -> None:
    """Do what the options say."""
    from cmim import known_holes

    found = False
    for what, versions in (
        ("installed", known_holes.installed_versions()),
        ("lower bounds", known_holes.lowest_versions(known_holes.declared())),
    ):
        holes = known_holes.known_holes(versions)
        found |= bool(holes)
        listed = f"stored list of {known_holes.LISTED}"
        print(f"{what}: {len(holes)} holes of the {listed}")
        print("".join(f"  {hole}\n" for hole in holes), end="")
    if args.offline:
        print("pip-audit: not asked (--offline)")
    else:
        clean, said = known_holes.ask_pip_audit()
        found |= clean is False
        print(f"pip-audit: {'could not look: ' if clean is None else ''}{said}")
    sys.exit(int(found))
