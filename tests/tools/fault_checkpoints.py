"""Checkpoints that are damaged, foreign or of another model, made of a good one."""

from __future__ import annotations

import bz2
import copy
import gzip
import io
import os
import pickle
import tarfile
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
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


def _first(part: dict, kind: str) -> str:
    return next(name for name in part if kind in name and "weight" in name)


def _replace(kind: str, make: Callable[[torch.Tensor], Any]) -> Callable:
    def change(part: dict) -> None:
        name = _first(part, kind)
        part[name] = make(part[name])

    return state(change)


def _optimizer(value: float) -> Callable[[bytes], bytes]:
    def change(content: dict) -> None:
        moments = next(iter(content["optimizer"]["state"].values()))
        moments["exp_avg"].view(-1)[0] = value

    return changed(change)


def _ema(value: float) -> Callable[[bytes], bytes]:
    def change(content: dict) -> None:
        averages = copy.deepcopy(dict(content["state_dict"]))
        averages[_first(averages, "decode_head")].view(-1)[0] = value
        content["ema_state_dict"] = averages

    return changed(change)


DAMAGED = "damaged"
PLAIN = "is not a plain checkpoint"
DIVERGED = "its run has diverged"
# What happens to the file's bytes, and what the sentence about it holds.
REFUSED: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "empty": (lambda data: b"", DAMAGED),
    "one byte": (lambda data: data[:1], PLAIN),
    "half": (lambda data: data[: len(data) // 2], DAMAGED),
    "last byte lost": (lambda data: data[:-1], DAMAGED),
    "first byte lost": (lambda data: data[1:], PLAIN),
    "zeros": (lambda data: bytes(len(data)), PLAIN),
    "zeros within": (
        lambda data: (
            data[: len(data) // 2] + bytes(4096) + data[len(data) // 2 + 4096 :]
        ),
        DAMAGED,
    ),
    "twice": (lambda data: data + data, DAMAGED),
    "text behind": (lambda data: data + b"\n", DAMAGED),
    "line ends changed": (lambda data: data.replace(b"\n", b"\r\n"), DAMAGED),
    **{
        f"bit at {share}": (flipped(share), DAMAGED)
        for share in (0.1, 0.3, 0.5, 0.7, 0.9)
    },
    "a page of HTML": (lambda data: b"<!DOCTYPE html><html>404</html>", PLAIN),
    "a pointer of LFS": (
        lambda data: b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n",
        PLAIN,
    ),
    "a foreign pickle": (lambda data: pickle.dumps({"state_dict": {}}), PLAIN),
    "a class of one's own": (lambda data: save({"state_dict": Colour()}), PLAIN),
    "a pickled module": (lambda data: save(torch.nn.Linear(2, 2)), PLAIN),
    "gzip": (packed("gz"), PLAIN),
    "bzip2": (packed("bz2"), PLAIN),
    "tar": (packed("tar"), PLAIN),
    "zip": (packed("zip"), "last.pth"),
    "entries compressed": (deflated, "last.pth"),
    "before version 1.6": (legacy, "before version 1.6"),
    "TorchScript": (
        lambda data: _scripted(),
        "last.pth",
    ),
    "NaN in a weight": (weight(value=float("nan")), DIVERGED),
    "Inf in a weight": (weight(value=float("inf")), DIVERGED),
    "-Inf in a mean": (
        state(
            lambda part: part[next(n for n in part if "running_mean" in n)].fill_(
                -torch.inf
            )
        ),
        DIVERGED,
    ),
    "NaN in the optimizer": (_optimizer(float("nan")), DIVERGED),
    "NaN in the averages": (_ema(float("nan")), DIVERGED),
    "a list": (changed(lambda content: [content]), "holds a list"),
    "a tensor": (changed(lambda content: torch.zeros(3)), "holds a Tensor"),
    "None": (changed(lambda content: {"state_dict": None}), "no state dict"),
    "an empty state": (changed(lambda content: {"state_dict": {}}), "last.pth"),
    "an empty dictionary": (changed(lambda content: {}), "last.pth"),
    "optimizer only": (only("optimizer"), "no state dict"),
    "meta only": (only("meta"), "no state dict"),
    "another key for the state": (
        changed(lambda content: {"model": content["state_dict"]}),
        "no state dict",
    ),
    "numbers for names": (
        changed(lambda content: {"state_dict": {0: torch.zeros(1)}}),
        "no state dict",
    ),
    "names with module.": (renamed, "last.pth"),
    "a weight lost": (
        state(lambda part: part.pop(_first(part, "decode_head"))),
        "last.pth",
    ),
    "the head lost": (
        state(lambda part: [part.pop(n) for n in [*part] if "decode_head" in n]),
        "decode_head",
    ),
    "a weight too many": (state(lambda part: part.update(more=torch.zeros(1))), "more"),
    "a weight turned": (
        _replace("conv_seg", lambda w: w.flip(0)[:3].clone()),
        "conv_seg",
    ),
    "a weight sparse": (
        _replace("conv_seg", lambda w: w.flatten(1).to_sparse()),
        PLAIN,
    ),
    "a weight too large": (
        _replace("conv_seg", lambda w: w.double().fill_(1e300)),
        "conv_seg|float32",
    ),
    "a variance below zero": (
        state(lambda part: part[next(n for n in part if "running_var" in n)].fill_(-1)),
        "running_var|below zero",
    ),
    "a weight complex": (_replace("conv_seg", lambda w: w + 0j), "conv_seg"),
    "a weight of whole numbers": (_replace("conv_seg", lambda w: w.int()), "conv_seg"),
    "a weight of bool": (_replace("conv_seg", lambda w: w > 0), "conv_seg"),
    "a weight of 8 bits": (
        _replace("conv_seg", lambda w: w.clamp(-1, 1).to(torch.int8)),
        "conv_seg",
    ),
    "a weight on meta": (_replace("conv_seg", lambda w: w.to("meta")), "last.pth"),
    "other std": (identity("pictures", std=[1.0, 1.0, 1.0]), "pictures|std"),
    "other mean": (identity("pictures", mean=[0.0, 0.0, 0.0]), "pictures|mean"),
    "other channels": (identity("pictures", swapped=True), "pictures|swapped"),
    "another head": (identity("heads", one={"type": "DepthHead"}), "heads|DepthHead"),
    "another task": (identity("heads", depth={"type": "DepthHead"}), "heads|DepthHead"),
    "classes in another order": (classes(lambda c: c[::-1]), "classes"),
    "a class named otherwise": (classes(lambda c: [*c[:-1], "x"]), "classes|'x'"),
    "fewer classes": (classes(lambda c: c[:-1]), "classes|39"),
    "identity a number": (changed(lambda c: c.update(identity=5)), "identity"),
    "identity a list": (changed(lambda c: c.update(identity=[1])), "identity"),
    "structure a number": (changed(lambda c: c.update(structure=5)), "structure"),
    "structure a list": (changed(lambda c: c.update(structure=["a"])), "structure"),
    "another method": (
        changed(
            lambda c: c.update(
                structure={k: v.replace("Bi", "Xn") for k, v in c["structure"].items()}
            )
        ),
        "another model",
    ),
}


def _scripted() -> bytes:
    file = io.BytesIO()
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), file)
    return file.getvalue()


def _half(content: dict) -> None:
    """Weights as half of the users store them."""
    for name, value in content["state_dict"].items():
        if value.is_floating_point():
            content["state_dict"][name] = value.double()


# What changes nothing that is tested.
ACCEPTED: dict[str, Callable[[bytes], bytes]] = {
    "bare state": changed(lambda content: dict(content["state_dict"])),
    "no optimizer": without("optimizer", "param_schedulers", "message_hub"),
    "no meta": without("meta"),
    "no identity": without("identity"),
    "no structure": without("structure"),
    "entries more": changed(lambda content: content.update(note="mine")),
    "in float64": changed(_half),
    "averages beside": _ema(1.0),
    "no state of the loss": state(
        lambda part: [part.pop(n) for n in [*part] if n.startswith("contrast.")]
    ),
}


def unreadable(folder: Path) -> dict[str, tuple[Path, str]]:
    """Paths that name no file that can be read."""
    loop, other, gone = (folder / f"{name}.pth" for name in ("loop", "other", "gone"))
    loop.symlink_to(other)
    other.symlink_to(loop)
    gone.symlink_to(folder / "nowhere")
    directory = folder / "directory.pth"
    directory.mkdir()
    pipe = folder / "pipe.pth"
    os.mkfifo(pipe)
    return {
        "a loop": (loop, "loop.pth"),
        "a dangling link": (gone, "gone.pth"),
        "a folder": (directory, "directory.pth"),
        "a pipe": (pipe, "pipe.pth"),
        "a device": (Path("/dev/null"), "/dev/null"),
        "a long name": (folder / ("x" * 300), "xxx"),
        "below a file": (folder / "last.pth" / "last.pth", "last.pth/last.pth"),
        "a space": (folder / "last.pth ", "last.pth "),
    }
