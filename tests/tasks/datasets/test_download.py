"""Downloads against a local server: resuming, sizes, addresses."""

import hashlib
import re
import threading
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from cmim.digest import sha256_of
from tasks.datasets import download
from tasks.datasets.download import (
    NYUD_FILES,
    OfficialFile,
    download_file,
    download_nyud,
)
from tasks.datasets.errors import DataError

CONTENT = np.random.default_rng(0).bytes(300_000)
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """Serves ``CONTENT``; the path chooses how the server misbehaves."""

    requests: list[tuple[str, str | None]]

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.requests.append((self.path, wanted))
        if self.path == "/redirect":
            self.send_response(302)
            self.send_header("Location", "ftp://localhost/file")
            self.end_headers()
            return
        start = 0
        if wanted and self.path != "/norange":
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
        if start >= len(CONTENT):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(CONTENT)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self._send(start)

    def _send(self, start: int) -> None:
        body = CONTENT[start:]
        announced = len(CONTENT)
        if self.path == "/short":
            body = body[:-1000]
        if self.path == "/shifted":
            start += 1
        self.send_response(206 if start else 200)
        if start:
            self.send_header(
                "Content-Range", f"bytes {start}-{announced - 1}/{announced}"
            )
        self.send_header("Content-Length", str(announced - start))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    Handler.requests = []
    instance = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=instance.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{instance.server_port}"
    instance.shutdown()
    instance.server_close()
    thread.join()


def test_whole_file(server: str, tmp_path: Path) -> None:
    target = download_file(f"{server}/file", tmp_path / "new" / "a.mat", DIGEST, False)
    assert target.read_bytes() == CONTENT
    assert [path.name for path in target.parent.iterdir()] == ["a.mat"]


def test_existing_file_is_kept(server: str, tmp_path: Path) -> None:
    (tmp_path / "a.mat").write_bytes(b"mine")
    download_file(f"{server}/file", tmp_path / "a.mat", DIGEST, False)
    assert (tmp_path / "a.mat").read_bytes() == b"mine"
    assert Handler.requests == []


def test_interrupted_download_resumes(server: str, tmp_path: Path) -> None:
    target = tmp_path / "a.mat"
    with pytest.raises(DataError, match="run it again to resume"):
        download_file(f"{server}/short", target, DIGEST, False)
    assert not target.exists()
    have = (tmp_path / "a.mat.part").stat().st_size
    assert 0 < have < len(CONTENT)
    download_file(f"{server}/file", target, DIGEST, False)
    assert Handler.requests[-1] == ("/file", f"bytes={have}-")
    assert target.read_bytes() == CONTENT
    assert not (tmp_path / "a.mat.part").exists()


def test_server_without_ranges_starts_again(server: str, tmp_path: Path) -> None:
    (tmp_path / "a.mat.part").write_bytes(b"x" * 1000)
    target = download_file(f"{server}/norange", tmp_path / "a.mat", DIGEST, False)
    assert target.read_bytes() == CONTENT


def test_complete_part_is_taken(server: str, tmp_path: Path) -> None:
    (tmp_path / "a.mat.part").write_bytes(CONTENT)
    target = download_file(f"{server}/file", tmp_path / "a.mat", DIGEST, False)
    assert target.read_bytes() == CONTENT


def test_overlong_part_starts_again(server: str, tmp_path: Path) -> None:
    (tmp_path / "a.mat.part").write_bytes(CONTENT + b"more")
    target = download_file(f"{server}/file", tmp_path / "a.mat", DIGEST, False)
    assert target.read_bytes() == CONTENT


def test_wrong_range_is_refused(server: str, tmp_path: Path) -> None:
    (tmp_path / "a.mat.part").write_bytes(CONTENT[:1000])
    with pytest.raises(DataError, match="bytes from 1001, asked from 1000"):
        download_file(f"{server}/shifted", tmp_path / "a.mat", DIGEST, False)
    assert (tmp_path / "a.mat.part").read_bytes() == CONTENT[:1000]


@pytest.mark.parametrize("url", ["file:///etc/hostname", "ftp://host/a", "a.mat"])
def test_other_schemes_are_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not an http or https address"):
        download_file(url, tmp_path / "a.mat", DIGEST, False)


def test_redirect_to_other_scheme_is_refused(server: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not an http or https address"):
        download_file(f"{server}/redirect", tmp_path / "a.mat", DIGEST, False)


def test_unreachable_server_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"with a browser and put the file there"):
        download_file(
            "http://127.0.0.1:9/a", tmp_path / "a.mat", DIGEST, False, timeout=2
        )


def test_all_official_files_are_fetched(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert set(NYUD_FILES) == {
        "nyu_depth_v2_labeled.mat",
        "splits.mat",
        "classMapping40.mat",
    }
    files = {n: OfficialFile(f"{server}/{n}", DIGEST) for n in NYUD_FILES}
    monkeypatch.setattr(download, "NYUD_FILES", files)
    paths = download_nyud(tmp_path, progress=False)
    assert sorted(path.name for path in paths) == sorted(NYUD_FILES)
    assert all(path.read_bytes() == CONTENT for path in paths)


def test_another_file_is_refused_and_not_kept(server: str, tmp_path: Path) -> None:
    """Of the right size, as a changed copy is."""
    other = hashlib.sha256(CONTENT[::-1]).hexdigest()
    with pytest.raises(DataError, match=f"SHA-256 {DIGEST}, expected {other}"):
        download_file(f"{server}/file", tmp_path / "a.mat", other, False)
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_part_is_seen_when_it_is_resumed(server: str, tmp_path: Path) -> None:
    (tmp_path / "a.mat.part").write_bytes(CONTENT[:500] + b"x" + CONTENT[501:1000])
    with pytest.raises(DataError, match="was damaged on the way or is another file"):
        download_file(f"{server}/file", tmp_path / "a.mat", DIGEST, False)
    download_file(f"{server}/file", tmp_path / "a.mat", DIGEST, False)
    assert (tmp_path / "a.mat").read_bytes() == CONTENT


def test_addresses_are_pinned_and_encrypted() -> None:
    for name, file in NYUD_FILES.items():
        assert file.url.startswith("https://"), name
        assert re.fullmatch("[0-9a-f]{64}", file.sha256), name
        # A branch may move; a revision cannot.
        assert "/master/" not in file.url
        assert "/main/" not in file.url


def test_https_is_not_left_on_the_way() -> None:
    request = urllib.request.Request("https://localhost/file")
    with pytest.raises(DataError, match="leads to http://localhost/other, which is no"):
        download._WebOnly().redirect_request(
            request, None, 302, "", {}, "http://localhost/other"
        )


@pytest.mark.real_data
@pytest.mark.parametrize("name", ["splits.mat", "classMapping40.mat"])
def test_recorded_digests_are_those_of_the_official_files(nyuv2: Path, name) -> None:
    if not (nyuv2 / name).is_file():
        pytest.skip(f"{name} is not here")
    assert sha256_of(nyuv2 / name) == NYUD_FILES[name].sha256
