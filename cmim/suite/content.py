"""What the figures of a run depend on, and its digest."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from mmengine.config import Config

from cmim.data_parts import data_parts
from cmim.digest import sha256_of
from cmim.engine.config import ConfigError, load_config, used_parts
from cmim.engine.loader_options import LOADERS

# Of recipe, splits and metrics: figures of two protocols are not compared.
PROTOCOL = "2026.11"
# Digits of a key that names a run.
DIGITS = 16
# Files of a data set are read whole up to here; of larger sets names and sizes count.
MOST_BYTES = 4 << 30


def content_of(
    config: str, options: Mapping[str, Any], seed: int, threads: int, device: str
) -> dict[str, Any]:
    """Everything that decides the figures of a run, but for code and machine.

    Args:
        config: Name or path of a config.
        options: Overrides; ``run:KEY`` stands for the checkpoint of another run.
        seed: Of everything random.
        threads: CPU threads.
        device: ``'cpu'``, ``'cuda'`` or another kind.

    Returns:
        ``config`` as plain values without folders of data, digests of the ``data`` and
        of other ``files`` that it names (weights of networks or classes, networks as
        ``FILE.py:CLASS``), ``seed``, ``threads``, ``device``, ``protocol``.

    Raises:
        ConfigError: A config that cannot be read, or names no data.
    """
    resolved = resolve(load_config(config, dict(options)))
    roots = list(_roots(resolved))
    if not roots:
        raise ConfigError(f"config '{config}' names no data_root for its data sets")
    return dict(
        protocol=PROTOCOL,
        config=_without_places(resolved),
        data=_data(roots),
        files={name: _digest(name) for name in sorted(set(_files(resolved)))},
        seed=seed,
        threads=threads,
        device=device,
    )


def key_of(content: Mapping[str, Any]) -> str:
    """The digest by which a run is known.

    Args:
        content: See :func:`content_of`; of files their digests count, not their names.
    """
    named = json.dumps(content["config"], sort_keys=True)
    for name, digest in content["files"].items():
        named = named.replace(json.dumps(name), json.dumps(f"sha256:{digest}"))
    told = {k: v for k, v in content.items() if k not in ("config", "files")}
    # So that the records of before devices counted, all of CPUs, keep their keys.
    if told.get("device") == "cpu":
        del told["device"]
    return sha256_of(named.encode(), json.dumps(told, sort_keys=True).encode())[:DIGITS]


def resolve(config: Config) -> dict[str, Any]:
    """What a run reads of a config, as plain values; classes by their full names.

    Args:
        config: As :func:`cmim.engine.config.load_config` reads it.
    """
    plain = used_parts(Config(config.to_dict()))
    read = {k: v for k, v in plain.items() if not k.startswith("_")}
    return json.loads(json.dumps(read, sort_keys=True, default=str))


def _roots(resolved: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Places of data sets in the config, and their folders."""
    for loader in LOADERS:
        for place, part in data_parts(resolved, loader):
            if part.get("data_root"):
                yield place, str(part["data_root"])


def _data(roots: Sequence[tuple[str, str]]) -> str:
    """Digest of the data, of one folder or of several.

    Where there are several it counts which one stands where: a test on the folder that
    was trained on is another one than a test on the other.
    """
    folders = {root for _, root in roots}
    if len(folders) == 1:
        (only,) = folders
        return sha256_of(data_digest(only).encode())[:DIGITS]
    named = (f"{place}={data_digest(root)}".encode() for place, root in roots)
    return sha256_of(*named)[:DIGITS]


def _files(value: Any, root: str | None = None) -> Iterator[str]:
    """What names an existing file anywhere in a config, but for files of the data.

    Args:
        value: The config, or a part of it.
        root: Folder that the data set around the part reads, whose files have a digest
            of their own wherever one works.
    """
    if isinstance(value, dict):
        root = (value.get("data_root") if "type" in value else None) or root
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from _files(each, root)
    # Not of pathlib, which raises where a text is too long to be a name.
    elif isinstance(value, str) and os.path.isfile(_file_of(value)):
        of_data = root is not None and os.path.isfile(os.path.join(root, value))
        if os.path.isabs(value) or not of_data:
            yield value


def _file_of(name: str) -> str:
    """The file of ``FILE`` or ``FILE.py:CLASS``."""
    return name.rpartition(":")[0] if ".py:" in name else name


def _digest(name: str) -> str:
    """Digest of a file's content; the class is still named behind it."""
    file = _file_of(name)
    return sha256_of(file) + name.removeprefix(file)


def _without_places(resolved: Any) -> Any:
    """A config without folders of data, which their digest stands for."""
    if isinstance(resolved, dict):
        return {k: _without_places(v) for k, v in resolved.items() if k != "data_root"}
    if isinstance(resolved, list):
        return [_without_places(v) for v in resolved]
    return resolved


@cache
def data_digest(folder: str) -> str:
    """SHA-256 of a data set: names and contents; above 4 GiB names and sizes.

    Args:
        folder: Of the data set. Hidden files do not count.

    Raises:
        ConfigError: It is not there, or empty.
    """
    root = Path(folder)
    found = sorted(root.rglob("*")) if root.is_dir() else []
    files = [p for p in found if p.is_file() and not p.name.startswith(".")]
    if not files:
        raise ConfigError(
            f"data set '{folder}' is not there or empty; say where it lies with "
            "--cfg-options data_root=FOLDER"
        )
    sizes = [file.stat().st_size for file in files]
    whole = sum(sizes) <= MOST_BYTES
    parts: list[bytes | Path] = []
    for file, size in zip(files, sizes, strict=True):
        parts.append(f"{file.relative_to(root).as_posix()} {size}\n".encode())
        parts += [file] if whole else []
    return sha256_of(*parts)[:DIGITS]
