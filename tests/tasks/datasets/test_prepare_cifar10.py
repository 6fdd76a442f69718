"""Unpacking a zip that nobody vouches for: attacks, interruption, repetition."""

import shutil
import stat
import zipfile
from pathlib import Path

import pytest

from tasks.datasets import prepare_cifar10 as module
from tasks.datasets.errors import DataError
from tasks.datasets.prepare_cifar10 import prepare_cifar10


def write_zip(pictures: Path, target: Path, *extra) -> Path:
    """Zip the pictures; ``extra`` are pairs of an entry (or its name) and bytes."""
    with zipfile.ZipFile(target, "w") as archive:
        for path in sorted(pictures.rglob("*.png")):
            archive.write(path, path.relative_to(pictures).as_posix())
        for entry, data in extra:
            archive.writestr(entry, data)
    return target


def link(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name)
    entry.create_system = 3
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    return entry


def files(folder: Path) -> dict[str, bytes]:
    return {
        p.relative_to(folder).as_posix(): p.read_bytes()
        for p in folder.rglob("*")
        if p.is_file()
    }


def test_pictures_arrive_unchanged_and_once(pictures, tmp_path):
    source = write_zip(
        pictures, tmp_path / "a.zip", ("train/", b""), ("test/cat/", b"")
    )
    out = tmp_path / "out"
    report = prepare_cifar10(source, out, progress=False)
    assert (report.train, report.test, report.written) == (80, 20, 100)
    arrived = files(out)
    assert arrived.pop("prepared.json")
    assert arrived == files(pictures)
    assert not (tmp_path / "out.part").exists()

    times = {p: p.stat().st_mtime_ns for p in out.rglob("*")}
    assert prepare_cifar10(source, out, progress=False).written == 0
    assert times == {p: p.stat().st_mtime_ns for p in out.rglob("*")}


@pytest.mark.parametrize(
    "name",
    [
        "../evil.jpg",
        "train/cat/../../../evil.jpg",
        "/tmp/evil.jpg",
        "train/../evil/cat.jpg",
        "train/cat/..jpg/evil.jpg",
        r"train\cat\evil.jpg",
        "C:/evil.jpg",
        "train/cat/.hidden.jpg",
        "train/cat/evil.jpg\nx",
        "train/cat/evil.exe",
        "train/cow/evil.jpg",
        "evil.jpg",
        "train/cat/0000.PNG",
        "train/cat/deeper/",
    ],
)
def test_entries_elsewhere_are_refused(pictures, tmp_path, name):
    folder = tmp_path / "deep" / "er"
    folder.mkdir(parents=True)
    source = write_zip(pictures, folder / "a.zip", (name, b"evil"))
    before = files(tmp_path)
    with pytest.raises(DataError, match="nothing was unpacked"):
        prepare_cifar10(source, folder / "out", progress=False)
    assert files(tmp_path) == before


def test_a_name_cut_at_a_zero_byte_is_refused(pictures, tmp_path):
    source = write_zip(pictures, tmp_path / "a.zip", ("train/cat/evil.jpg!x", b"evil"))
    # zipfile writes no such name itself.
    source.write_bytes(source.read_bytes().replace(b"evil.jpg!x", b"evil.jpg\0x"))
    with pytest.raises(DataError, match="entry"):
        prepare_cifar10(source, tmp_path / "out", progress=False)


@pytest.mark.parametrize("names", [("a.jpg", "a.jpg"), ("a.jpg", "A.jpg")])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_names_that_overwrite_each_other_are_refused(pictures, tmp_path, names):
    extra = [(f"train/cat/{name}", b"picture") for name in names]
    source = write_zip(pictures, tmp_path / "a.zip", *extra)
    with pytest.raises(DataError, match="is there twice"):
        prepare_cifar10(source, tmp_path / "out", progress=False)


def test_links_are_refused(pictures, tmp_path):
    extra = (link("train/cat/link.jpg"), b"/etc/passwd")
    source = write_zip(pictures, tmp_path / "a.zip", extra)
    with pytest.raises(DataError, match="is a link"):
        prepare_cifar10(source, tmp_path / "out", progress=False)
    assert not (tmp_path / "out.part").exists()


@pytest.mark.parametrize("size", [0, module.MAX_FILE_BYTES + 1, 50_000_000])
def test_bombs_and_empty_files_are_refused(pictures, tmp_path, size):
    entry = zipfile.ZipInfo("train/cat/bomb.jpg")
    entry.compress_type = zipfile.ZIP_DEFLATED
    source = write_zip(pictures, tmp_path / "a.zip", (entry, bytes(size)))
    with pytest.raises(DataError, match=f"unpacks to {size} bytes"):
        prepare_cifar10(source, tmp_path / "out", progress=False)


@pytest.mark.parametrize("kind", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_unusual_compression_is_refused(pictures, tmp_path, kind):
    entry = zipfile.ZipInfo("train/cat/odd.jpg")
    entry.compress_type = kind
    source = write_zip(pictures, tmp_path / "a.zip", (entry, b"picture"))
    with pytest.raises(DataError, match="unusual way"):
        prepare_cifar10(source, tmp_path / "out", progress=False)


def test_encrypted_entries_are_refused(pictures, tmp_path):
    source = write_zip(pictures, tmp_path / "a.zip")
    with zipfile.ZipFile(source) as archive:
        members = archive.infolist()
    members[3].flag_bits |= 1
    with pytest.raises(DataError, match="is encrypted"):
        module.check_members(members, source)


def test_too_many_entries_are_refused(pictures, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MAX_FILES", 99)
    source = write_zip(pictures, tmp_path / "a.zip")
    with pytest.raises(DataError, match="has 100 entries"):
        prepare_cifar10(source, tmp_path / "out", progress=False)


def test_a_size_that_lies_is_refused(pictures, tmp_path):
    bomb = zipfile.ZipInfo("train/cat/bomb.jpg")
    bomb.compress_type = zipfile.ZIP_DEFLATED
    source = write_zip(pictures, tmp_path / "a.zip", (bomb, bytes(1_000_000)))
    # The directory claims 1,000 bytes; the compressed stream holds a million.
    content = source.read_bytes()
    true, claimed = (n.to_bytes(4, "little") for n in (1_000_000, 1000))
    assert content.count(true) == 2
    source.write_bytes(content.replace(true, claimed))
    with pytest.raises(DataError, match="damaged"):
        prepare_cifar10(source, tmp_path / "out", progress=False)
    assert not (tmp_path / "out").exists()


def test_files_that_are_no_zip_are_named(pictures, tmp_path):
    source = write_zip(pictures, tmp_path / "a.zip")
    torn = tmp_path / "torn.zip"
    torn.write_bytes(source.read_bytes()[:2000])
    flipped = tmp_path / "flipped.zip"
    content = bytearray(source.read_bytes())
    content[200] ^= 255
    flipped.write_bytes(content)
    for path in (torn, flipped, tmp_path / "gone.zip"):
        with pytest.raises(DataError, match=path.name):
            prepare_cifar10(path, tmp_path / "out", progress=False)
    assert not (tmp_path / "out").exists()


def test_a_missing_class_is_said(pictures, tmp_path):
    folder = shutil.copytree(pictures, tmp_path / "copy")
    shutil.rmtree(folder / "test" / "frog")
    source = write_zip(folder, tmp_path / "a.zip")
    with pytest.raises(DataError, match="no pictures in test/ of frog"):
        prepare_cifar10(source, tmp_path / "out", progress=False)


def test_an_interrupted_run_is_resumed(pictures, tmp_path, monkeypatch):
    source = write_zip(pictures, tmp_path / "a.zip")
    whole = module.write_whole
    done = []

    def stop_after_30(path, data):
        if len(done) == 30:
            raise KeyboardInterrupt
        done.append(path)
        whole(path, data)

    monkeypatch.setattr(module, "write_whole", stop_after_30)
    with pytest.raises(KeyboardInterrupt):
        prepare_cifar10(source, tmp_path / "out", progress=False)
    assert not (tmp_path / "out").exists()
    # One file was cut short, one belongs to nobody.
    done[3].write_bytes(b"cut")
    (tmp_path / "out.part" / "train" / "cat" / ".x.part").write_bytes(b"left over")

    monkeypatch.setattr(module, "write_whole", whole)
    report = prepare_cifar10(source, tmp_path / "out", progress=False)
    assert report.written == 71
    arrived = files(tmp_path / "out")
    arrived.pop("prepared.json")
    assert arrived == files(pictures)


def test_a_folder_of_something_else_is_kept(pictures, tmp_path):
    source = write_zip(pictures, tmp_path / "a.zip")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("mine")
    with pytest.raises(DataError, match="was not unpacked from"):
        prepare_cifar10(source, tmp_path / "mine", progress=False)
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "mine"


def test_damage_to_a_finished_folder_is_found(pictures, tmp_path):
    source = write_zip(pictures, tmp_path / "a.zip")
    prepare_cifar10(source, tmp_path / "out", progress=False)
    (tmp_path / "out" / "test" / "cat" / "0008.png").write_bytes(b"torn")
    with pytest.raises(DataError, match=r"0008\.png' is missing or damaged"):
        prepare_cifar10(source, tmp_path / "out", progress=False)


def test_a_planted_link_is_not_followed(pictures, tmp_path):
    source = write_zip(pictures, tmp_path / "a.zip")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out.part").mkdir()
    (tmp_path / "out.part" / "train").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DataError, match="is a link"):
        prepare_cifar10(source, tmp_path / "out", progress=False)
    assert not list((tmp_path / "elsewhere").iterdir())
