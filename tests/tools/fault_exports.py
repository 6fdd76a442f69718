"""Exported files that are damaged, foreign or of another network."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from fault_damage import flipped

Change = Callable[[Path], object]


def xml(change: Callable[[bytes], bytes]) -> Change:
    return lambda path: path.write_bytes(change(path.read_bytes()))


def weights(change: Callable[[bytes], bytes]) -> Change:
    return lambda path: xml(change)(path.with_suffix(".bin"))


def at_bin(change: Change) -> Change:
    return lambda path: change(path.with_suffix(".bin"))


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def linked(target: str) -> Change:
    def change(path: Path) -> None:
        path.unlink()
        path.symlink_to(target)

    return change


def sealed(old: bytes, new: bytes) -> Change:
    """Another text, under a digest that is right."""

    def change(path: Path) -> None:
        from cmim.deploy.seal import seal

        text = path.read_bytes()
        assert old in text
        text = re.sub(
            rb'<sha256 value="\w+"', b'<sha256 value="%s"' % (b"0" * 64), text
        )
        path.write_bytes(text.replace(old, new))
        seal(path)

    return change


DIGEST = "digest"
# What happens to an .xml or its .bin, and what every tool that reads it says.
OPENVINO: dict[str, tuple[Change, str]] = {
    "xml empty": (xml(lambda data: b""), DIGEST),
    "xml half": (xml(lambda data: data[: len(data) // 2]), DIGEST),
    "xml last byte lost": (xml(lambda data: data[:-1]), DIGEST),
    "xml zeros": (xml(lambda data: bytes(len(data))), DIGEST),
    "xml text": (xml(lambda data: b"no"), DIGEST),
    "xml a page": (xml(lambda data: b"<!DOCTYPE html><html>404</html>"), DIGEST),
    "xml text behind": (xml(lambda data: data + b"\n"), DIGEST),
    "xml line ends": (xml(lambda data: data.replace(b"\n", b"\r\n")), DIGEST),
    **{
        f"xml bit at {share}": (xml(flipped(share)), DIGEST)
        for share in (0.01, 0.3, 0.5, 0.7, 0.99)
    },
    "xml without digest": (
        xml(lambda data: data.replace(b"<sha256 ", b"<sha255 ")),
        DIGEST,
    ),
    "xml of two digests": (
        xml(lambda data: data + b'<sha256 value="' + b"0" * 64 + b'" />'),
        DIGEST,
    ),
    "xml another mean": (xml(lambda data: data.replace(b"123.675", b"103.675")), ""),
    "xml a folder": (a_folder, "does not exist"),
    "xml a dangling link": (linked("nowhere.xml"), "does not exist"),
    "xml a loop": (linked("seg.xml"), "seg.xml"),
    "xml closed": (lambda path: path.chmod(0), "ermission denied"),
    "bin gone": (at_bin(Path.unlink), "lacks seg.bin"),
    "bin empty": (weights(lambda data: b""), DIGEST),
    "bin half": (weights(lambda data: data[: len(data) // 2]), DIGEST),
    "bin last byte lost": (weights(lambda data: data[:-1]), DIGEST),
    "bin twice": (weights(lambda data: data + data), DIGEST),
    "bin zeros": (weights(lambda data: bytes(len(data))), DIGEST),
    **{
        f"bin bit at {share}": (weights(flipped(share)), DIGEST)
        for share in (0.0, 0.1, 0.5, 0.9, 1.0)
    },
    "bin a folder": (at_bin(a_folder), "lacks seg.bin"),
    "bin a dangling link": (at_bin(linked("nowhere.bin")), "lacks seg.bin"),
    "bin closed": (at_bin(lambda path: path.chmod(0)), "ermission denied"),
    "identity no JSON": (sealed(b"&quot;heads&quot;", b"&quot;heads"), "identity"),
    "identity of other classes": (sealed(b"&quot;wall&quot;", b"&quot;mall&quot;"), ""),
}


def _packed(change: Callable[[dict, dict], None]) -> Change:
    """A raw network with another program or other arrays, whole again."""

    def apply(path: Path) -> None:
        with np.load(path) as stored:
            arrays = {name: stored[name] for name in stored.files}
        document = json.loads(bytes(arrays.pop("program")))
        change(document, arrays)
        arrays["program"] = np.frombuffer(json.dumps(document).encode(), np.uint8)
        np.savez_compressed(path, allow_pickle=True, **arrays)

    return apply


def _other_zip(data: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.txt", "no")
    return file.getvalue()


def _first(arrays: dict) -> str:
    return next(iter(arrays))


RAW: dict[str, Change] = {
    "empty": xml(lambda data: b""),
    "half": xml(lambda data: data[: len(data) // 2]),
    "last byte lost": xml(lambda data: data[:-1]),
    "zeros": xml(lambda data: bytes(len(data))),
    "text": xml(lambda data: b"no"),
    "another zip": xml(_other_zip),
    **{
        f"bit at {share}": xml(flipped(share)) for share in (0.05, 0.25, 0.5, 0.75, 0.9)
    },
    "no program": _packed(lambda document, _: document.clear()),
    "another format": _packed(lambda document, _: document.update(format="x")),
    "another version": _packed(lambda document, _: document.update(version=2)),
    "no input": _packed(lambda document, _: document.pop("input")),
    "no outputs": _packed(lambda document, _: document.update(outputs=[])),
    "steps a number": _packed(lambda document, _: document.update(steps=5)),
    "no steps": _packed(lambda document, _: document.update(steps=[])),
    "an unknown operation": _packed(lambda d, _: d["steps"][0].update(op="eval")),
    "an input that is not there": _packed(
        lambda d, _: d["steps"][0].update(inputs=["nowhere"])
    ),
    "an array lost": _packed(lambda _, arrays: arrays.pop(_first(arrays))),
    "an array of objects": _packed(
        lambda _, arrays: arrays.update({_first(arrays): np.array([{}], object)})
    ),
    "an array of NaN": _packed(
        lambda _, arrays: arrays.update(
            {
                name: np.full_like(value, np.nan)
                for name, value in arrays.items()
                if value.dtype == np.float32
            }
        )
    ),
    "an array cut": _packed(
        lambda _, arrays: arrays.update({_first(arrays): arrays[_first(arrays)][:1]})
    ),
    "a shape of text": _packed(lambda d, _: d["input"].update(shape="3x48x64")),
    "a mean of text": _packed(lambda d, _: d["input"].update(mean="x")),
    "a deviation of 0": _packed(lambda d, _: d["input"].update(std=[0, 0, 0])),
}
