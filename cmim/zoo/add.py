"""An entry of the zoo, made of a training run and its record."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config

from cmim.digest import sha256_of
from cmim.engine.config import task_model_config
from cmim.engine.config_names import configs_folder
from cmim.engine.record import network_of, write_json
from cmim.export.network import export_network
from cmim.json_file import read_json
from cmim.zoo import entries as zoo
from cmim.zoo.entries import ZooError

LICENSE = Path(__file__).resolve().parents[2] / "LICENSE"


def add_entry(
    name: str,
    config: Config,
    overrides: Mapping[str, Any],
    checkpoint: str | Path,
    record: str | Path,
    figures: Sequence[str],
    about: str,
    size: tuple[int, int],
    rest: str = "float32",
) -> Path:
    """Export a trained network, verify it, and put it into the zoo with its record.

    Args:
        name: Small letters, digits and underscores.
        config: One of the project's, with the overrides.
        overrides: By which it differs from the project's file.
        checkpoint: Of the training run.
        record: ``metrics.json`` of the run.
        figures: Names of metrics of the record's final test, for card and list.
        about: One sentence.
        size: Height and width of the exported network's input.
        rest: The form of the layers beside the binary ones.

    Returns:
        The entry's folder.

    Raises:
        ZooError: A name that is taken or none, a record of another network or without
            a final test, a figure that it lacks, a file that is too large or wrong.
    """
    _check_name(name)
    own = _own_name(config)
    run = read_json(record)
    chosen = chosen_figures(run, figures, str(record))
    _check_network(run, config, str(record))
    with tempfile.TemporaryDirectory() as place:
        made = Path(place) / name
        made.mkdir()
        _export(config, checkpoint, made, size, rest)
        write_json(made / zoo.RECORD, run)
        (made / zoo.CARD).write_text(
            model_card(name, about, own, overrides, run, chosen, size), encoding="utf-8"
        )
        shutil.copy(LICENSE, made / "LICENSE")
        content = dict(
            about=about,
            config=own,
            overrides=[f"{k}={_word(v)}" for k, v in overrides.items()],
            figures=chosen,
            files={file: sha256_of(made / file) for file in zoo.FILES},
        )
        write_json(made / zoo.ENTRY, content)
        target = zoo.FOLDER / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(made, target)
    return target


def chosen_figures(
    run: Mapping[str, Any], names: Sequence[str], source: str
) -> dict[str, float]:
    """Figures of a record's final test; no other figure gets into the zoo.

    Args:
        run: The record.
        names: Of the figures.
        source: Its file, for messages.

    Raises:
        ZooError: There was no training or no final test, or it lacks a figure.

    Examples:
        >>> chosen_figures({"steps": 5, "test": {"mIoU": 9.0}}, ["mIoU"], "a.json")
        {'mIoU': 9.0}
    """
    test = run.get("test")
    if not test or not run.get("steps"):
        raise ZooError(
            f"'{source}' records no training with a final test: the zoo takes "
            "metrics.json of a run that was trained and tested"
        )
    numbers = {k: v for k, v in test.items() if isinstance(v, (int, float))}
    lacking = [name for name in names if name not in numbers]
    if lacking or not names:
        raise ZooError(
            f"figures {', '.join(lacking) or '(none)'}: the final test of '{source}' "
            f"has {', '.join(numbers)}; give names of these"
        )
    return {name: float(numbers[name]) for name in names}


def _check_name(name: str) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise ZooError(
            f"name '{name}': give small letters, digits and underscores, such as "
            "nyud_joint"
        )
    if (configs_folder() / f"{name}.py").exists():
        raise ZooError(f"name '{name}' is that of a config: choose another")
    if (zoo.FOLDER / name).exists():
        raise ZooError(
            f"name '{name}' is taken: choose another, or delete {zoo.FOLDER / name}"
        )


def _own_name(config: Config) -> str:
    path = Path(config.filename).resolve()
    if path.parent != configs_folder().resolve():
        raise ZooError(
            f"config '{config.filename}' does not travel with the package: put it "
            f"into {configs_folder()}, so that those who install it have it too"
        )
    return path.stem


def _check_network(run: Mapping[str, Any], config: Config, source: str) -> None:
    """Refuse the record of another network, as far as it says which it was."""
    recorded = run.get("network") or {}
    here = network_of(task_model_config(config))
    differing = [
        key
        for key, value in recorded.items()
        if key not in here or _plain(here[key]) != _plain(value)
    ]
    if differing or not recorded:
        raise ZooError(
            f"'{source}' is the record of another network than this config's "
            f"({', '.join(differing) or 'it names none'} differ): name the "
            "metrics.json beside the checkpoint, and the options of its training"
        )


def _plain(value: Any) -> Any:
    """As JSON has it."""
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    return value if isinstance(value, (int, float, bool, type(None))) else str(value)


def _export(
    config: Config, checkpoint: str | Path, folder: Path, size: tuple[int, int],
    rest: str,
) -> None:  # fmt: skip
    path = folder / zoo.NETWORK
    made = export_network(config, str(checkpoint), path, size, verify=True, rest=rest)
    if made["wrong"]:
        raise ZooError(
            f"{made['wrong']} values of binary layers are wrong in the exported file, "
            "as the check against integers says: nothing was added"
        )
    if made["bytes"] > zoo.MOST_BYTES:
        raise ZooError(
            f"the exported network has {made['bytes'] / 1e6:.2f} MB, and the zoo takes "
            f"{zoo.MOST_BYTES / 1e6:g} at most: --rest int8, or a narrower network"
        )


def _word(value: Any) -> str:
    """An override's value as it stands on a command line."""
    return str(value).replace(" ", "")


def model_card(
    name: str,
    about: str,
    config: str,
    overrides: Mapping[str, Any],
    run: Mapping[str, Any],
    figures: Mapping[str, float],
    size: tuple[int, int],
) -> str:
    """The model card, whose figures are those of the record.

    Args:
        name: Of the entry.
        about: One sentence.
        config: Name of the config.
        overrides: Of the config.
        run: The record.
        figures: Chosen of its final test.
        size: Height and width of the input.
    """
    options = "".join(f" {k}={_word(v)}" for k, v in overrides.items())
    rows = [f"| {key} | {value:g} |" for key, value in figures.items()]
    images = run["test"].get("images")
    tested = f" over {images} test images" if images else ""
    return "\n".join(
        [
            f"# {name}",
            "",
            about,
            "",
            f"Trained with `configs/{config}.py`"
            + (f" and `--cfg-options{options}`" if options else "")
            + f", {run['steps']} steps, seed {run.get('seed', 'unknown')}. Input: "
            f"{size[0]}x{size[1]} pixels. Binary layers have one bit and were compared "
            "with integers.",
            "",
            f"Of the final test{tested}, as the run recorded it (`{zoo.RECORD}`), in "
            "torch:",
            "",
            "| figure | value |",
            "|---|---|",
            *rows,
            "",
            "Limits: pictures unlike those of the training set are not covered by "
            "these figures. Licence of the weights: Apache-2.0 (`LICENSE`); the data "
            "have licences of their own.",
            "",
        ]
    )
