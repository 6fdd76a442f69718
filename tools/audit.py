"""Look for known holes in the installed packages and in the lower bounds."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))


def main() -> None:
    from cmim.engine import cli

    parser = cli.make_parser(
        "Compare the installed packages, and the lower bounds in setup.cfg, with a "
        "stored\nlist of known holes; then ask pip-audit, which needs a network, and "
        "say so where it\ncould not look. Exits with 1 where there are holes.",
        "python tools/audit.py\n  python tools/audit.py --offline",
    )
    parser.add_argument(
        "--offline", action="store_true", help="the stored list only; asks nobody"
    )
    args = parser.parse_args()

    from cmim.engine import known_holes

    found = False
    for what, versions in (
        ("installed", known_holes.installed_versions()),
        ("lower bounds", known_holes.lowest_versions(ROOT / "setup.cfg")),
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


if __name__ == "__main__":
    from cmim.engine.cli import run_tool

    run_tool(main)
