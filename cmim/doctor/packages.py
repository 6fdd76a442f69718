"""The packages that the project names: versions, and whether they can be imported."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterable
from configparser import ConfigParser
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from packaging.requirements import Requirement

from cmim.doctor.findings import PackageFindings
from cmim.engine.sentences import sentence_of
from cmim.known_holes import declared
from cmim.optional_packages import how_to_install

# Where a package is imported by another name than the index has.
IMPORTED_AS = {
    "onedl-mmcv": "mmcv",
    "onedl-mmengine": "mmengine",
    "onedl-mmsegmentation": "mmseg",
    "opencv-python-headless": "cv2",
    "pillow": "PIL",
    "pyyaml": "yaml",
    "scikit-learn": "sklearn",
}
# Extras of developers, and the one that has all others.
NOT_FOR_USERS = ("dev", "all")


def requirements() -> dict[str, str]:
    """Requirements of the project, each with its extra (empty: always needed).

    As the installed package says; of a checkout that is not installed, ``setup.cfg``.
    """
    try:
        lines = declared()
    except PackageNotFoundError:
        lines = []
    if not lines:
        return read_setup(Path(__file__).resolve().parents[2] / "setup.cfg")
    found: dict[str, str] = {}
    for line in lines:
        wanted, _, marker = line.partition(";")
        extra = re.search(r"extra == ['\"](\w+)['\"]", marker)
        name = extra[1] if extra else ""
        if name not in NOT_FOR_USERS:
            found.setdefault(wanted.strip(), name)
    return found


def read_setup(path: Path) -> dict[str, str]:
    """The same of a ``setup.cfg``; nothing where there is none."""
    parser = ConfigParser()
    parser.read(path)
    found: dict[str, str] = {}
    sections = {"": parser.get("options", "install_requires", fallback="")}
    if parser.has_section("options.extras_require"):
        sections.update(parser.items("options.extras_require"))
    for extra, text in sections.items():
        for line in text.splitlines():
            wanted = line.strip()
            if wanted and wanted[0] != "#" and extra not in NOT_FOR_USERS:
                found.setdefault(wanted, extra)
    return found


def examine_packages(
    wanted: dict[str, str] | None = None,
) -> dict[str, PackageFindings]:
    """Look at each package, and import those that are installed.

    Args:
        wanted: As :func:`requirements` gives it, which is asked when None.
    """
    listed = requirements() if wanted is None else wanted
    found = {}
    for line, extra in listed.items():
        need = Requirement(line)
        try:
            installed = version(need.name)
        except PackageNotFoundError:
            installed = None
        found[need.name] = PackageFindings(
            extra=extra,
            version=installed,
            wanted=str(need.specifier),
            error=None if installed is None else _what_is_wrong(need, installed),
        )
    return found


def _what_is_wrong(need: Requirement, installed: str) -> str | None:
    if not need.specifier.contains(installed, prereleases=True):
        return (
            f"{need.name} is {installed}, and {need.specifier} is needed: "
            f"pip install '{need}'"
        )
    name = IMPORTED_AS.get(need.name, need.name.replace("-", "_"))
    try:
        importlib.import_module(name)
    except Exception as error:
        return (
            f"{need.name} {installed} is installed and cannot be imported: "
            f"{sentence_of(error)}"
        )
    return None


def broken_packages(packages: dict[str, PackageFindings]) -> list[str]:
    """What is needed and missing, and what is installed and does not work."""
    missing = [n for n, p in packages.items() if not p["extra"] and not p["version"]]
    said = [p["error"] for p in packages.values() if p["error"]]
    if missing:
        said.insert(
            0,
            f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} needed and "
            "not installed: pip install cmim, or in a checkout pip install -e .",
        )
    return said


def missing_extras(packages: dict[str, PackageFindings]) -> dict[str, str]:
    """Extras of which something is missing, each with what, and how to install it."""
    found: dict[str, str] = {}
    for extra in sorted({p["extra"] for p in packages.values()} - {""}):
        absent = [
            name
            for name, package in packages.items()
            if package["extra"] == extra and package["version"] is None
        ]
        if absent:
            found[extra] = f"{', '.join(absent)}: {_command(extra, absent)}"
    return found


def _command(extra: str, absent: Iterable[str]) -> str:
    imported = [IMPORTED_AS.get(name, name) for name in absent]
    said = how_to_install(*imported)
    return said if "cmim[" in said else f"pip install 'cmim[{extra}]', or {said}"
