"""Plants a defect into a copy of the project and asks which tests catch it.

``make mutants`` plants ten, one after the other, and runs the tests that concern it,
as ``make quick`` chooses them and, where those see nothing, as ``make test`` does. A
mutant that survives shows a test that is missing.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TIERS = {"quick": "not slow and not full", "test": "not slow"}


@dataclass(frozen=True)
class Mutant:
    """A defect: ``old`` in ``file`` becomes ``new``, and ``tests`` should fail."""

    name: str
    file: str
    old: str
    new: str
    tests: str


MUTANTS = (
    Mutant(
        "sign of a surrogate gradient",
        "cmim/functional/sign.py",
        "return approx_slope(x.abs()).mul_(grad)",
        "return approx_slope(x.abs()).mul_(-grad)",
        "tests/cmim/functional tests/cmim/methods",
    ),
    Mutant(
        "crop off by one",
        "tasks/transforms/picture.py",
        "image = image[top : top + height, left : left + width]",
        "image = image[top : top + height, left + 1 : left + 1 + width]",
        "tests/tasks/transforms",
    ),
    Mutant(
        "red and blue of label colours swapped",
        "tasks/datasets/label_values.py",
        "[r << 16 | g << 8 | b for",
        "[b << 16 | g << 8 | r for",
        "tests/tasks/datasets",
    ),
    Mutant(
        "sum instead of mean as the scale of a filter",
        "cmim/functional/weight_scale.py",
        "weight.abs().mean(dim=tuple",
        "weight.abs().sum(dim=tuple",
        "tests/cmim/functional tests/cmim/methods",
    ),
    Mutant(
        "depth loss averaged over images, not over pixels",
        "tasks/depth/losses.py",
        "mean = error.sum(1) / count",
        "mean = error.sum(0).mean() / count",
        "tests/tasks/depth",
    ),
    Mutant(
        "no temperature",
        "cmim/contrast/scores.py",
        "self._scaled = anchors / temperature",
        "self._scaled = anchors * 1.0",
        "tests/cmim/contrast",
    ),
    Mutant(
        "depth read in centimetres",
        "tasks/transforms/load.py",
        "depth_unit: float = 0.001",
        "depth_unit: float = 0.01",
        "tests/tasks/transforms tests/tasks/datasets/test_nyud_dataset.py",
    ),
    Mutant(
        "union of IoU counts the overlap twice",
        "tasks/segmentation/iou.py",
        "(truth + predicted - correct)",
        "(truth + predicted)",
        "tests/tasks/segmentation",
    ),
    Mutant(
        "exported layers padded with 0",
        "cmim/deploy/openvino_graph.py",
        "LOWEST = np.float32(-1e30)",
        "LOWEST = np.float32(0)",
        "tests/cmim/deploy/test_openvino_graph.py",
    ),
    Mutant(
        "seed of the run ignored",
        "cmim/hooks/seed_steps.py",
        "SeedSequence([seed, runner.iter, get_rank()])",
        "SeedSequence([0, runner.iter, get_rank()])",
        "tests/cmim/hooks",
    ),
)


def planted(mutant: Mutant, text: str) -> str:
    """The file's text with the defect.

    Raises:
        ValueError: The line has changed since the mutant was written.
    """
    if text.count(mutant.old) != 1:
        raise ValueError(
            f"mutant '{mutant.name}': {mutant.file} holds {mutant.old!r} "
            f"{text.count(mutant.old)} times, not once; write it anew in {__file__}"
        )
    return text.replace(mutant.old, mutant.new)


def copy_project(target: Path) -> None:
    """Copy what git tracks or would track, as it is in the working tree."""
    list_files = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    done = subprocess.run(list_files, cwd=ROOT, capture_output=True, check=True)
    for name in filter(None, done.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target / name)


def is_caught(copy: Path, mutant: Mutant, tier: str, whole: bool) -> bool:
    """Whether a test of the tier fails with the defect in the copy.

    Raises:
        RuntimeError: pytest ended otherwise: no test ran, or it broke off.
    """
    file = copy / mutant.file
    sound = file.read_text(encoding="utf-8")
    file.write_text(planted(mutant, sound), encoding="utf-8")
    where = [] if whole else [mutant.file, *mutant.tests.split()]
    words = ["-m", "pytest", "-x", "-p", "no:cacheprovider", "-m", TIERS[tier], *where]
    environment = {**os.environ, "PYTHONPATH": str(copy), "OMP_NUM_THREADS": "1"}
    try:
        done = subprocess.run(
            [sys.executable, *words],
            cwd=copy, env=environment, capture_output=True, text=True,
        )  # fmt: skip
    finally:
        file.write_text(sound, encoding="utf-8")
    if done.returncode not in (0, 1):
        said = done.stdout[-2000:] + done.stderr[-2000:]
        raise RuntimeError(f"pytest {words}: {said}")
    return done.returncode == 1


def try_mutant(copy: Path, number: int, tiers: list[str], whole: bool) -> bool:
    """Print for each tier whether it sees the mutant; stop at the first that does."""
    mutant = MUTANTS[number - 1]
    for tier in tiers:
        begin = time.monotonic()
        caught = is_caught(copy, mutant, tier, whole)
        word = "caught by" if caught else "NOT SEEN BY"
        seconds = time.monotonic() - begin
        print(f"{number:2} {mutant.name}: {word} {tier}, {seconds:.0f} s", flush=True)
        if caught:
            return True
    return False


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tier", nargs="+", choices=TIERS, default=list(TIERS))
    parser.add_argument("--only", type=int, nargs="+", help="numbers, from 1")
    parser.add_argument("--whole", action="store_true", help="all tests of the tier")
    args = parser.parse_args()
    numbers = args.only or range(1, len(MUTANTS) + 1)
    with tempfile.TemporaryDirectory(prefix="cmim_mutants_") as folder:
        copy = Path(folder)
        copy_project(copy)
        caught = [try_mutant(copy, n, args.tier, args.whole) for n in numbers]
    print(f"{sum(caught)} of {len(caught)} caught")
    return 0 if all(caught) else 1


if __name__ == "__main__":
    sys.exit(main())
