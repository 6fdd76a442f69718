"""Checkpoints that are damaged, foreign or of another model; and a few that are not."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path

import torch
from fault_damage import (
    Colour,
    averages,
    changed,
    classes,
    deflated,
    doubled,
    first,
    flipped,
    identity,
    legacy,
    only,
    optimizer,
    packed,
    renamed,
    replaced,
    save,
    scripted,
    state,
    weight,
    without,
)

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
        lambda data: scripted(),
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
    "NaN in the optimizer": (optimizer(float("nan")), DIVERGED),
    "NaN in the averages": (averages(float("nan")), DIVERGED),
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
        state(lambda part: part.pop(first(part, "decode_head"))),
        "last.pth",
    ),
    "the head lost": (
        state(lambda part: [part.pop(n) for n in [*part] if "decode_head" in n]),
        "decode_head",
    ),
    "a weight too many": (state(lambda part: part.update(more=torch.zeros(1))), "more"),
    "a weight turned": (
        replaced("conv_seg", lambda w: w.flip(0)[:3].clone()),
        "conv_seg",
    ),
    "a weight sparse": (
        replaced("conv_seg", lambda w: w.flatten(1).to_sparse()),
        PLAIN,
    ),
    "a weight too large": (
        replaced("conv_seg", lambda w: w.double().fill_(1e300)),
        "conv_seg|float32",
    ),
    "a variance below zero": (
        state(lambda part: part[next(n for n in part if "running_var" in n)].fill_(-1)),
        "running_var|below zero",
    ),
    "a weight complex": (replaced("conv_seg", lambda w: w + 0j), "conv_seg"),
    "a weight of whole numbers": (replaced("conv_seg", lambda w: w.int()), "conv_seg"),
    "a weight of bool": (replaced("conv_seg", lambda w: w > 0), "conv_seg"),
    "a weight of 8 bits": (
        replaced("conv_seg", lambda w: w.clamp(-1, 1).to(torch.int8)),
        "conv_seg",
    ),
    "a weight on meta": (replaced("conv_seg", lambda w: w.to("meta")), "last.pth"),
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


# What changes nothing that is tested.
ACCEPTED: dict[str, Callable[[bytes], bytes]] = {
    "bare state": changed(lambda content: dict(content["state_dict"])),
    "no optimizer": without("optimizer", "param_schedulers", "message_hub"),
    "no meta": without("meta"),
    "no identity": without("identity"),
    "no structure": without("structure"),
    "entries more": changed(lambda content: content.update(note="mine")),
    "in float64": changed(doubled),
    "averages beside": averages(1.0),
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
