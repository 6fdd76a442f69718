"""How the bytes of a good checkpoint become those of a damaged or foreign one."""

from __future__ import annotations

import bz2
import copy
import gzip
import io
import tarfile
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import torch


class Colour:
    """A class of somebody's own within a pickle."""


def save(content: Any) -> bytes:
    """What ``torch.save`` writes."""
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


def changed(change: Callable[[dict], Any]) -> Callable[[bytes], bytes]:
    """The file with its content changed, and everything whole again."""

    def apply(data: bytes) -> bytes:
        content = torch.load(io.BytesIO(data), weights_only=True)
        new = change(content)
        return save(content if new is None else new)

    return apply


def flipped(share: float) -> Callable[[bytes], bytes]:
    """One bit turned, so far from the beginning."""

    def apply(data: bytes) -> bytes:
        place = int(share * (len(data) - 1))
        return data[:place] + bytes([data[place] ^ 4]) + data[place + 1 :]

    return apply


def weight(kind: str = "decode_head", value: float | None = None):
    """One number of the first weight of a part, as another one."""

    def change(content: dict) -> None:
        name = next(n for n in content["state_dict"] if kind in n and "weight" in n)
        content["state_dict"][name].view(-1)[0] = value

    return changed(change)


def renamed(data: bytes) -> bytes:
    def change(content: dict) -> None:
        state = content["state_dict"]
        content["state_dict"] = OrderedDict(
            (f"module.{k}", v) for k, v in state.items()
        )

    return changed(change)(data)


def identity(place: str, **values: Any) -> Callable[[bytes], bytes]:
    def change(content: dict) -> None:
        content["identity"][place].update(values)

    return changed(change)


def classes(change: Callable[[list], list]) -> Callable[[bytes], bytes]:
    def apply(content: dict) -> None:
        content["identity"]["classes"] = change(content["identity"]["classes"])

    return changed(apply)


def packed(kind: str) -> Callable[[bytes], bytes]:
    def apply(data: bytes) -> bytes:
        if kind == "gz":
            return gzip.compress(data, 1)
        if kind == "bz2":
            return bz2.compress(data, 1)
        file = io.BytesIO()
        if kind == "zip":
            with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
                archive.writestr("last.pth", data)
        else:
            with tarfile.open(fileobj=file, mode="w") as archive:
                entry = tarfile.TarInfo("last.pth")
                entry.size = len(data)
                archive.addfile(entry, io.BytesIO(data))
        return file.getvalue()

    return apply


def deflated(data: bytes) -> bytes:
    """The same entries, compressed, as archive programs write them anew."""
    file = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(data)) as old,
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for name in old.namelist():
            new.writestr(name, old.read(name))
    return file.getvalue()


def without(*names: str) -> Callable[[bytes], bytes]:
    return changed(lambda content: [content.pop(n) for n in names] and None)


def only(name: str) -> Callable[[bytes], bytes]:
    return changed(lambda content: {name: content[name]})


def legacy(data: bytes) -> bytes:
    file = io.BytesIO()
    content = torch.load(io.BytesIO(data), weights_only=True)
    torch.save(content, file, _use_new_zipfile_serialization=False)
    return file.getvalue()


def state(change: Callable[[dict], Any]) -> Callable[[bytes], bytes]:
    return changed(lambda content: _nothing(change(content["state_dict"])))


def _nothing(value: Any) -> None:
    """Changes are made in place."""


def first(part: dict, kind: str) -> str:
    return next(name for name in part if kind in name and "weight" in name)


def replaced(kind: str, make: Callable[[torch.Tensor], Any]) -> Callable:
    def change(part: dict) -> None:
        name = first(part, kind)
        part[name] = make(part[name])

    return state(change)


def optimizer(value: float) -> Callable[[bytes], bytes]:
    def change(content: dict) -> None:
        moments = next(iter(content["optimizer"]["state"].values()))
        moments["exp_avg"].view(-1)[0] = value

    return changed(change)


def averages(value: float) -> Callable[[bytes], bytes]:
    def change(content: dict) -> None:
        moving = copy.deepcopy(dict(content["state_dict"]))
        moving[first(moving, "decode_head")].view(-1)[0] = value
        content["ema_state_dict"] = moving

    return changed(change)


def scripted() -> bytes:
    file = io.BytesIO()
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), file)
    return file.getvalue()


def doubled(content: dict) -> None:
    """Weights in float64."""
    for name, value in content["state_dict"].items():
        if value.is_floating_point():
            content["state_dict"][name] = value.double()
