"""Checkpoints that are damaged, or larger inside than they are, are refused."""

from __future__ import annotations

import io
import pickle
import random
import struct
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path

import pytest
import torch
from torch import nn

from cmim.checkpoint import CheckpointError, read_checkpoint
from cmim.digest import sha256_of

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    path = tmp_path_factory.mktemp("whole") / "last.pth"
    torch.save({"state_dict": model.state_dict(), "meta": {"iter": 3}}, path)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(CheckpointError) as error:
        read_checkpoint(path)
    sentence = str(error.value)
    assert sentence.startswith(f"checkpoint '{path}' ")
    assert "\n" not in sentence
    return sentence


def test_a_flipped_bit_in_a_weight_is_seen(whole, tmp_path):
    data, damaged = whole.read_bytes(), tmp_path / "last.pth"
    weight = read_checkpoint(whole)["state_dict"]["0.weight"]
    start = data.index(weight.numpy().tobytes())
    chance = random.Random(1)
    for _ in range(10):
        copy = bytearray(data)
        at = start + chance.randrange(weight.numel() * 4)
        copy[at] ^= 1 << chance.randrange(8)
        damaged.write_bytes(copy)
        # This is why: torch alone sees nothing.
        other = torch.load(damaged, weights_only=True)["state_dict"]["0.weight"]
        assert not torch.equal(other, weight)
        assert "does not have the checksum that was saved with it" in refusal(damaged)


def test_a_flipped_bit_anywhere_is_seen_or_changes_nothing(whole, tmp_path):
    data, damaged = whole.read_bytes(), tmp_path / "last.pth"
    expected = read_checkpoint(whole)
    accepted = 0
    for at in range(0, len(data), 5):
        copy = bytearray(data)
        copy[at] ^= 1 << (at % 8)
        damaged.write_bytes(copy)
        try:
            found = read_checkpoint(damaged)
        except CheckpointError:
            continue
        accepted += 1
        assert found["meta"] == expected["meta"]
        assert list(found["state_dict"]) == list(expected["state_dict"])
        for key, value in found["state_dict"].items():
            assert torch.equal(value, expected["state_dict"][key])
    # Numbers of the end records that no reader uses.
    assert accepted < len(data) / 5 * 0.03


def rewrite(whole: Path, target: Path, **options) -> None:
    """The same records in another archive."""
    with zipfile.ZipFile(whole) as old, zipfile.ZipFile(target, "w", **options) as new:
        for record in old.infolist():
            new.writestr(record.filename, old.read(record))


def test_an_archive_written_anew_without_compression_is_read(whole, tmp_path):
    rewrite(whole, tmp_path / "last.pth")
    found = read_checkpoint(tmp_path / "last.pth")["state_dict"]
    for key, value in read_checkpoint(whole)["state_dict"].items():
        assert torch.equal(value, found[key])


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA])
def test_compressed_records_are_refused(whole, tmp_path, method):
    rewrite(whole, tmp_path / "last.pth", compression=method)
    assert "has the compressed record " in refusal(tmp_path / "last.pth")


def change(whole: Path, target: Path, field: int, form: str, value: int, place: int):
    """Overwrite a number in the directory's entry of the last record of values."""
    data = bytearray(whole.read_bytes())
    entry = -1
    for _ in range(place):
        entry = data.index(b"PK\x01\x02", entry + 1)
    struct.pack_into(form, data, entry + field, value)
    target.write_bytes(data)


@pytest.mark.parametrize(
    ("field", "form", "value"),
    [
        (10, "<H", 8),  # compressed
        (16, "<I", 1),  # checksum
        (20, "<I", 1000),  # bytes in the archive
        (24, "<I", 1000),  # bytes unpacked
        (24, "<I", 2**31),
        (42, "<I", 0),  # where it lies: on another record
        (8, "<H", 2057),  # encrypted
    ],
)
def test_a_directory_that_contradicts_its_records_is_refused(
    whole, tmp_path, field, form, value
):
    change(whole, tmp_path / "last.pth", field, form, value, place=6)
    refusal(tmp_path / "last.pth")


def archive(target: Path, pickled: bytes, values: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(target, "w") as new:
        new.writestr("a/data.pkl", pickled)
        new.writestr("a/version", "3\n")
        for name, content in values.items():
            new.writestr(f"a/data/{name}", content)
    return target


class Storage:
    def __init__(self, count: int) -> None:
        self.pid = ("storage", torch.FloatStorage, "0", "cpu", count)


class Tensor:
    """Pickled as torch does it, with sizes of one's own."""

    def __init__(self, count: int, size: tuple, stride: tuple, offset: int = 0):
        self.arguments = (Storage(count), offset, size, stride, False, {})

    def __reduce__(self):
        return torch._utils._rebuild_tensor_v2, self.arguments


class Pickler(pickle.Pickler):
    def persistent_id(self, value: object) -> object:
        return value.pid if isinstance(value, Storage) else None


def pickled(tensor: object) -> bytes:
    file = io.BytesIO()
    Pickler(file, protocol=2).dump({"state_dict": {"a": tensor}})
    return file.getvalue()


def test_the_hand_made_archive_is_right(tmp_path):
    content = pickled(Tensor(4, (2, 2), (2, 1)))
    path = archive(tmp_path / "a.pth", content, {"0": bytes(16)})
    assert read_checkpoint(path)["state_dict"]["a"].tolist() == [[0, 0], [0, 0]]


@pytest.mark.parametrize(
    "tensor",
    [
        Tensor(10**9, (2, 2), (2, 1)),  # more values than the record has
        Tensor(2, (2, 1), (1, 1)),  # fewer
        Tensor(4, (2, 3), (3, 1)),  # beyond its end
        Tensor(4, (2, 2), (2, 1), 1),
        Tensor(4, (10**9,), (0,)),  # one value repeated
        Tensor(4, (-1,), (1,)),
        Tensor(4, (2, 2), (1,)),
    ],
    ids=lambda t: str(t.arguments[1:4]),
)
def test_tensors_larger_than_their_record_are_refused(tensor, tmp_path):
    path = archive(tmp_path / "a.pth", pickled(tensor), {"0": bytes(16)})
    assert "whole" not in refusal(path)


def test_a_repeated_value_is_read(tmp_path):
    torch.save({"a": torch.ones(1).expand(300)}, tmp_path / "a.pth")
    assert read_checkpoint(tmp_path / "a.pth")["state_dict"]["a"].sum() == 300


class Call:
    def __init__(self, function, *arguments) -> None:
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize(
    "call",
    [Call(torch.Tensor, 10**9), Call(bytearray, 10**9), Call(torch.FloatTensor, 9)],
)
def test_memory_is_not_asked_for_by_calls(call, tmp_path):
    refusal(archive(tmp_path / "a.pth", pickled(call), {}))


def test_what_torch_saves_is_read(tmp_path):
    """Kinds of numbers, parameters, views, bytes, sets, sizes: read as they were."""
    base = torch.arange(12.0).reshape(3, 4)
    state = {
        "view": base[:, 1:3],
        "parameter": nn.Parameter(torch.ones(2)),
        "empty": torch.zeros(0, 3),
        "scalar": torch.tensor(3),
        "float8": torch.zeros(4).to(torch.float8_e4m3fn),
        "uint16": torch.zeros(4, dtype=torch.uint16),
        "bool": torch.tensor([True, False]),
        "complex": torch.zeros(2, dtype=torch.complex64),
    }
    extra = dict(bytes=b"ab", set={1}, size=torch.Size([2]), kind=torch.float16)
    torch.save({"state_dict": state, "meta": extra}, tmp_path / "a.pth")
    found = read_checkpoint(tmp_path / "a.pth")
    assert found["meta"] == extra
    for key, value in state.items():
        kept = found["state_dict"][key]
        assert kept.dtype == value.dtype
        assert kept.tolist() == value.tolist()


def legacy(target: Path) -> Path:
    torch.save({"a": torch.ones(50)}, target, _use_new_zipfile_serialization=False)
    return target


def test_files_without_checksums_need_their_digest_in_their_name(tmp_path):
    plain = legacy(tmp_path / "model.pth")
    assert "torch.save(torch.load(FILE, weights_only=True), NEW)" in refusal(plain)
    digest = sha256_of(plain)
    # A digest of digits alone could be a date.
    kept = next(n for n in range(8, 65) if not digest[:n].isdigit())
    named = plain.rename(tmp_path / f"model-{digest[:kept]}.pth")
    assert read_checkpoint(named)["state_dict"]["a"].sum() == 50
    data = bytearray(named.read_bytes())
    data[-9] ^= 4
    named.write_bytes(data)
    assert "is damaged: its SHA-256 begins with" in refusal(named)


def test_a_date_is_no_digest(tmp_path):
    assert "write it anew" in refusal(legacy(tmp_path / "model-20240101.pth"))
    torch.save({"a": torch.ones(2)}, tmp_path / "new-deadbeef.pth")
    read_checkpoint(tmp_path / "new-deadbeef.pth")


PEAK = """
import resource, sys
import torch
from cmim.checkpoint import CheckpointError, read_checkpoint
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    read_checkpoint(sys.argv[1])
    print("read")
except CheckpointError:
    print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


def compressed_bomb(target: Path) -> Path:
    """A record of 128 MB of zeros, in an eighth of a megabyte."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        content = pickled(Tensor(2**25, (2**25,), (1,)))
        new.writestr("a/data.pkl", content)
        with new.open("a/data/0", "w") as record:
            for _ in range(128):
                record.write(bytes(2**20))
    return target


def lying_bomb(target: Path) -> Path:
    """The same, but the directory says that it is 1,000 bytes."""
    data = bytearray(compressed_bomb(target).read_bytes())
    entry = data.rindex(b"PK\x01\x02")
    for place in (entry + 16, data.index(b"a/data/0") - 16):
        struct.pack_into("<I", data, place, zlib.crc32(bytes(1000)))
    for place in (entry + 24, data.index(b"a/data/0") - 8):
        struct.pack_into("<I", data, place, 1000)
    target.write_bytes(data)
    return target


@pytest.mark.full
@pytest.mark.parametrize("make", [compressed_bomb, lying_bomb])
def test_bombs_take_no_memory(make, tmp_path):
    path = make(tmp_path / "bomb.pth")
    assert path.stat().st_size < 2**20
    line = [sys.executable, "-c", PEAK, str(path)]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert float(done.stdout) < 30, done.stdout + done.stderr
