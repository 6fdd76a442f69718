"""Known holes of the packages this project uses, for machines without a network.

The lower bounds in ``setup.cfg`` are what this list gives; ``tools/audit.py`` also asks
``pip-audit``, where that is installed and reaches its source, for newer ones.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, requires, version

from packaging.requirements import Requirement
from packaging.version import Version

#: When the list was last compared with published advisories.
LISTED = "2026-11"
#: Package, first version without the hole, name of the hole.
HOLES = (
    ("torch", "2.6", "CVE-2025-32434: weights_only=True ran code"),
    ("torch", "2.10", "CVE-2026-24747: weights_only=True corrupted memory"),
    ("pillow", "10.3", "CVE-2024-28219: buffer overflow"),
    ("pillow", "12.1.1", "CVE-2026-25990: out-of-bounds write, PSD"),
    ("pillow", "12.2", "CVE-2026-40192: unbounded decompression, FITS"),
    ("tqdm", "4.66.3", "CVE-2024-34062: command-line options run code"),
    ("onnx", "1.19", "CVE-2025-51480: external data written anywhere"),
    ("onnx", "1.21", "CVE-2026-27489: external data read through links"),
    ("scikit-learn", "1.5", "CVE-2024-5206: training data kept in a vectorizer"),
    ("fastapi", "0.120.2", "CVE-2025-62727: Range headers, by its starlette"),
)


def known_holes(versions: dict[str, str]) -> list[str]:
    """The holes of the list that these versions have.

    Args:
        versions: Versions by package.

    Examples:
        >>> known_holes({"tqdm": "4.66.2", "torch": "2.10.0+cpu", "pip": "1"})
        ['tqdm 4.66.2, CVE-2024-34062: command-line options run code: 4.66.3 has not']
    """
    return [
        f"{package} {versions[package]}, {hole}: {fixed} has not"
        for package, fixed, hole in HOLES
        if package in versions and Version(versions[package]) < Version(fixed)
    ]


def installed_versions() -> dict[str, str]:
    """Versions of the listed packages that are installed."""
    found = {}
    for package in sorted({package for package, *_ in HOLES}):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def declared() -> list[str]:
    """What the installed package says it needs, extras included."""
    return requires("cmim") or []


def lowest_versions(requirements: Iterable[str]) -> dict[str, str]:
    """The lowest version of each package that requirements accept.

    Args:
        requirements: As in ``setup.cfg``, one a string.

    Examples:
        >>> lowest_versions(["torch>=2.10", "onnx>=1.21; extra == 'deploy'", "pip"])
        {'torch': '2.10', 'onnx': '1.21'}
    """
    return {
        requirement.name: specifier.version
        for requirement in map(Requirement, requirements)
        for specifier in requirement.specifier
        if specifier.operator == ">="
    }


def ask_pip_audit(timeout: float = 120) -> tuple[bool | None, str]:
    """What ``pip-audit`` says of this environment; it asks the network.

    Args:
        timeout: Seconds to wait for it.

    Returns:
        Whether there are no holes, None where it could not look, and its words.
    """
    words = [sys.executable, "-m", "pip_audit", "--local", "--progress-spinner", "off"]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=timeout)
    except subprocess.TimeoutExpired:
        return None, f"no answer within {timeout:g} s"
    said = done.stdout.strip() or (done.stderr.strip().splitlines() or [""])[-1]
    if "Name " in done.stdout:
        return False, said
    return (True, said) if done.returncode == 0 else (None, said)
