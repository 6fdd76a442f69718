"""Small files that claim, or unpack to, very much: refused before memory is taken."""

from __future__ import annotations

import gzip
import struct
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from cmim.deploy.numpy_reference import RawNetworkError, load_network
from tasks.datasets.errors import DataError
from tasks.datasets.frame_files import read_depth
from tasks.datasets.idx_images import read_idx
from tasks.datasets.matlab import create_cells, read_cells, save_mat5
from tasks.datasets.nyud_source import load_mat5
from tasks.datasets.plain_hdf5 import check_dataset, find_dataset, open_hdf5
from tasks.datasets.prepare_cifar10 import CIFAR10_CLASSES, prepare_cifar10
from tasks.datasets.zip_member import read_member

LARGE = 64 << 20
ALLOWED = 16 << 20


@pytest.fixture
def little_memory():
    """Fails where Python or NumPy took more than ``ALLOWED`` at once."""
    tracemalloc.start()
    yield
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < ALLOWED


def zeros(size: int) -> bytes:
    """So many zeros, deflated, without ever having them."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    parts = [packer.compress(bytes(1 << 20)) for _ in range(size >> 20)]
    return b"".join([*parts, packer.flush()])


def lying_zip(path: Path, names: list[str], liar: str, says: int) -> Path:
    """A zip of small files, of which one holds ``LARGE`` and says less.

    The checksum is right for what it says, so that only its size gives it away.
    """
    crc = zlib.crc32(bytes(says))
    packed = zeros(LARGE)
    directory, body = b"", b""
    for name in names:
        content = zlib.compress(b"picture", 9)[2:-4]
        fields = (8, 0, 33, zlib.crc32(b"picture"), len(content), 7)
        if name == liar:
            content, fields = packed, (8, 0, 33, crc, len(packed), says)
        sizes = struct.pack("<3H3I", *fields)
        offset = len(body)
        lengths = struct.pack("<2H", len(name), 0)
        body += b"PK\x03\x04\x14\0\0\0" + sizes + lengths + name.encode() + content
        directory += (
            b"PK\x01\x02\x14\0\x14\0\0\0" + sizes + lengths
            + bytes(2 + 2 + 2 + 4) + struct.pack("<I", offset) + name.encode()
        )  # fmt: skip
    end = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, len(names), len(names),
                      len(directory), len(body), 0)  # fmt: skip
    path.write_bytes(body + directory + end)
    return path


def test_a_zip_entry_that_holds_more_than_it_says(tmp_path, little_memory):
    names = [
        f"{split}/{c}/0.png" for split in ("train", "test") for c in CIFAR10_CLASSES
    ]
    source = lying_zip(tmp_path / "bomb.zip", names, names[3], says=1000)
    with pytest.raises(DataError, match="says that it has 1000 bytes, and takes"):
        prepare_cifar10(source, tmp_path / "out", progress=False)
    assert not (tmp_path / "out").exists()


def test_a_zip_entry_is_unpacked_by_its_size(tmp_path, little_memory):
    """Also where what it takes is believable: 60 kB that hold 64 MB."""
    path = lying_zip(tmp_path / "bomb.zip", ["a"], "a", says=60_000)
    with zipfile.ZipFile(path) as archive:
        (member,) = archive.infolist()
        assert member.compress_size < 1.25 * member.file_size
        # What it says is what there is, as far as anybody looks.
        assert read_member(archive, member) == bytes(60_000)


@pytest.mark.parametrize("size", [0, 1, 70_000])
def test_whole_zip_entries_are_read(tmp_path, size):
    content = np.random.default_rng(0).bytes(size)
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        with zipfile.ZipFile(tmp_path / "a.zip", "w", method) as archive:
            archive.writestr("a", content)
        with zipfile.ZipFile(tmp_path / "a.zip") as archive:
            assert read_member(archive, archive.infolist()[0]) == content


def npz(path: Path, size: int) -> Path:
    header = np.lib.format.header_data_from_array_1_0(np.zeros(0, np.uint8))
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("program.npy", "w") as file,
    ):
        np.lib.format.write_array_header_1_0(file, header | {"shape": (size,)})
        for _ in range(size >> 20):
            file.write(bytes(1 << 20))
    return path


def test_raw_networks_that_unpack_to_very_much(tmp_path, little_memory):
    with pytest.raises(RawNetworkError, match="would unpack to"):
        load_network(npz(tmp_path / "a.npz", LARGE))


def test_raw_networks_whose_header_says_less(tmp_path):
    """NumPy reads no further than an array says, and then compares no checksum."""
    plain = tmp_path / "b.npz"
    with zipfile.ZipFile(plain, "w") as archive:
        np.lib.format.write_array(
            archive.open("program.npy", "w"), np.full(200, 32, np.uint8)
        )
    data = bytearray(plain.read_bytes())
    at = data.index(b"(200,)")
    data[at : at + 6] = b"(100,)"
    plain.write_bytes(data)
    with pytest.raises(RawNetworkError, match="checksum is wrong"):
        load_network(plain)


def announced_idx(path: Path) -> Path:
    header = bytes((0, 0, 8, 3)) + struct.pack(">3I", LARGE >> 8, 16, 16)
    with gzip.open(path, "wb") as file:
        file.write(header)
        for _ in range(LARGE >> 20):
            file.write(bytes(1 << 20))
    return path


def test_idx_files_that_unpack_to_very_much(tmp_path, little_memory):
    path = announced_idx(tmp_path / "a.gz")
    with pytest.raises(DataError, match="no pictures are compressed so much"):
        read_idx(path, 3)


@pytest.mark.parametrize("change", [-1, 1])
def test_npy_files_that_are_not_as_long_as_they_say(tmp_path, change, little_memory):
    path = tmp_path / "a.npy"
    np.save(path, np.ones((4, 5), np.float32))
    data = path.read_bytes()
    path.write_bytes(data[:-1] if change < 0 else data + b"\0")
    with pytest.raises(DataError, match="its header says 4x5 values of float32"):
        read_depth(path, 1.0)


def test_npy_files_that_announce_very_much(tmp_path, little_memory):
    path = tmp_path / "a.npy"
    header = dict(descr="<f4", fortran_order=False, shape=(10**6, 10**6))
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
    with pytest.raises(DataError, match="its header says 1000000x1000000"):
        read_depth(path, 1.0)


def test_mat5_files_that_unpack_to_very_much(tmp_path, little_memory):
    path = tmp_path / "splits.mat"
    packer = zlib.compressobj(9)
    parts = [packer.compress(bytes(1 << 20)) for _ in range(LARGE >> 20)]
    packed = b"".join([*parts, packer.flush()])
    header = b"MATLAB 5.0 MAT-file".ljust(124) + b"\0\1IM"
    path.write_bytes(header + struct.pack("<2I", 15, len(packed)) + packed)
    with pytest.raises(DataError, match="unpacks to more than"):
        load_mat5(path, ("a",))
    path.write_bytes(header + bytes(5 << 20))
    with pytest.raises(DataError, match="expected a small table"):
        load_mat5(path, ("a",))


def test_small_mat5_files_are_read(tmp_path):
    save_mat5(tmp_path / "a.mat", {"a": np.arange(3)})
    assert load_mat5(tmp_path / "a.mat", ("a",))["a"].ravel().tolist() == [0, 1, 2]


def external_link(file: h5py.File, other: Path) -> None:
    file["images"] = h5py.ExternalLink(str(other), "/images")


def soft_link(file: h5py.File, other: Path) -> None:
    file["real"] = np.zeros((2, 3), np.uint8)
    file["images"] = h5py.SoftLink("/real")


def external_storage(file: h5py.File, other: Path) -> None:
    file.create_dataset("images", (2, 3), np.uint8, external=[(str(other), 0, 6)])


def virtual(file: h5py.File, other: Path) -> None:
    layout = h5py.VirtualLayout((2, 3), np.uint8)
    layout[:] = h5py.VirtualSource(str(other), "images", (2, 3))
    file.create_virtual_dataset("images", layout)


def huge_chunks(file: h5py.File, other: Path) -> None:
    file.create_dataset(
        "images", (200, 1 << 20), np.uint8, chunks=(100, 1 << 20), compression="gzip"
    )


def huge_frames(file: h5py.File, other: Path) -> None:
    file.create_dataset("images", (2, 3, 10**5, 10**5), np.uint8, chunks=(1, 1, 9, 9))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (external_link, "is a link"),
        (soft_link, "is a link"),
        (external_storage, "keeps its values in other files"),
        (virtual, "keeps its values in other files"),
        (huge_chunks, "has chunks of 104857600 bytes"),
        (huge_frames, "has frames of 30000000000 bytes"),
    ],
)
def test_hdf5_values_elsewhere_or_in_huge_pieces(
    make: Callable, said: str, tmp_path, little_memory
):
    other = tmp_path / "secret.h5"
    with h5py.File(other, "w") as file:
        file["images"] = np.ones((2, 3), np.uint8)
    with h5py.File(tmp_path / "a.mat", "w") as file:
        make(file, other)
    with open_hdf5(tmp_path / "a.mat") as file:
        with pytest.raises(DataError, match=said) as error:
            find_dataset(file, "images")
        assert "a.mat" in str(error.value)


def test_hdf5_filters_that_are_programs(tmp_path):
    with h5py.File(tmp_path / "a.mat", "w") as file:
        properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        properties.set_chunk((2, 3))
        properties.set_filter(h5py.h5z.FILTER_LZF, h5py.h5z.FLAG_OPTIONAL)
        space = h5py.h5s.create_simple((2, 3))
        kind = h5py.h5t.NATIVE_UINT8
        h5py.h5d.create(file.id, b"images", kind, space, properties)
        with pytest.raises(DataError, match="needs the filter 32000"):
            check_dataset(file["images"])


def test_texts_of_other_files_or_of_any_length(tmp_path):
    with h5py.File(tmp_path / "a.mat", "w") as file:
        create_cells(file, "scenes", ["kitchen", "den"])
        assert read_cells(file, "scenes") == ["kitchen", "den"]
        long = file["#refs#"].create_dataset("long", (10**7, 1), np.uint16, chunks=True)
        file["scenes"][0, 1] = long.ref
        with pytest.raises(DataError, match="has 10000000 values, expected at most"):
            read_cells(file, "scenes")
        file["scenes"][0, 1] = file["#refs#"].ref
        with pytest.raises(DataError, match="holds no values"):
            read_cells(file, "scenes")
