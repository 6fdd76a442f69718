"""Download files over HTTP, resuming what an earlier attempt left behind."""

import http.client
import os
import re
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from tqdm import tqdm

from cmim.digest import sha256_of
from tasks.datasets.errors import DataError

_NYU = "https://horatio.cs.nyu.edu/mit/silberman"
# The copy of the class mapping that most published code uses, at its last revision.
_META = (
    "https://raw.githubusercontent.com/ankurhanda/nyuv2-meta-data/"
    "b92d15c506876dada1ac4086938e30ebc4deb49b"
)


@dataclass(frozen=True)
class OfficialFile:
    """A file that is fetched, and how to know it.

    Args:
        url: http or https address.
        sha256: Digest of the whole file, hexadecimal.
    """

    url: str
    sha256: str


#: What the preparation of NYUD-v2 needs. The digest of the labelled file is the one
#: that independent projects have published (with 2,972,037,809 bytes and the MD5 sum
#: 520609c519fba3ba5ac58c8fefcc3530); those of the small files were computed from them.
NYUD_FILES = {
    "nyu_depth_v2_labeled.mat": OfficialFile(
        f"{_NYU}/nyu_depth_v2/nyu_depth_v2_labeled.mat",
        "2d724b0c0ab358aa1ce5df855e5bd14a2279ab7202efe22f32a30d612dcb86aa",
    ),
    "splits.mat": OfficialFile(
        f"{_NYU}/indoor_seg_sup/splits.mat",
        "6e081404491a8bfba2f066beaa9713ef6046f9007aa5f799f2a350506a580cee",
    ),
    "classMapping40.mat": OfficialFile(
        f"{_META}/classMapping40.mat",
        "ff177194cce9a2163517f1e1e6f1c64c50987162f542dedddc04bbf6ebe6d851",
    ),
}
_BLOCK_BYTES = 1 << 20
_RANGE_NOT_SATISFIABLE = 416


class _WebOnly(urllib.request.HTTPRedirectHandler):
    """Follows redirects to http and https addresses only, and never out of https."""

    def redirect_request(self, req, fp, code, msg, headers, newurl):
        _check_address(newurl)
        if urlsplit(req.full_url).scheme == "https" != urlsplit(newurl).scheme:
            raise DataError(
                f"{req.full_url}: leads to {newurl}, which is not https; fetch the "
                "file with a browser and put it there"
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _check_address(url: str) -> None:
    if urlsplit(url).scheme not in ("http", "https"):
        raise DataError(f"{url}: not an http or https address; use one of these")


def download_nyud(folder: Path, progress: bool = True) -> list[Path]:
    """Download the three official NYUD-v2 files that are not yet in a folder.

    Raises:
        DataError: If a download fails (what arrived is kept and resumed), or a file is
            not the official one.
    """
    return [
        download_file(file.url, folder / name, file.sha256, progress)
        for name, file in NYUD_FILES.items()
    ]


def download_file(
    url: str, target: Path, sha256: str, progress: bool = True, timeout: float = 60.0
) -> Path:
    """Download one file through ``<target>.part``; an existing target is kept.

    Args:
        url: http or https address.
        target: Where the file goes once its size and digest are right.
        sha256: Digest that the whole file must have, hexadecimal.
        progress: Whether to show a bar.
        timeout: Seconds without data after which the attempt fails.

    Raises:
        DataError: If the address is not http(s), the server cannot be reached,
            the size is not what the server announced, or the digest is another one
            (the file is then deleted).
    """
    _check_address(url)
    if target.is_file():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    try:
        total = _fetch(url, part, progress, timeout)
    except (OSError, http.client.HTTPException) as error:
        raise DataError(
            f"{target}: download from {url} failed ({error}); run it again to resume, "
            f"or fetch the address with a browser and put the file there"
        ) from error
    size = part.stat().st_size
    if total is not None and size != total:
        if size > total:
            part.unlink()
        raise DataError(
            f"{target}: got {size} bytes from {url}, the server announced {total}; run "
            "it again to resume, or fetch the address with a browser and put the file "
            "there"
        )
    _check_digest(part, target, url, sha256)
    os.replace(part, target)
    return target


def _check_digest(part: Path, target: Path, url: str, sha256: str) -> None:
    found = sha256_of(part)
    if found != sha256:
        part.unlink()
        raise DataError(
            f"{target}: {url} gave a file with the SHA-256 {found}, expected {sha256}; "
            "it was damaged on the way or is another file, and was deleted: run it "
            "again, or get the file elsewhere and compare its SHA-256"
        )


def _fetch(url: str, part: Path, progress: bool, timeout: float) -> int | None:
    """Fetch what is missing of a file; return its announced size in bytes."""
    offset = part.stat().st_size if part.exists() else 0
    headers = {"Range": f"bytes={offset}-"} if offset else {}
    request = urllib.request.Request(url, headers=headers)
    opener = urllib.request.build_opener(_WebOnly)
    try:
        response = opener.open(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        if error.code != _RANGE_NOT_SATISFIABLE or not offset:
            raise
        if _announced_size(error, offset) == offset:
            return offset
        # The partial file belongs to something else: start again.
        part.unlink()
        return _fetch(url, part, progress, timeout)
    with response:
        resumed = response.status == http.client.PARTIAL_CONTENT
        offset = offset if resumed else 0
        total = _announced_size(response, offset)
        with part.open("ab" if resumed else "wb") as file:
            _copy(response, file, total, offset, part.name, progress)
    return total


def _announced_size(response: object, offset: int) -> int | None:
    """Return the size of the whole file as the server tells it."""
    headers = response.headers  # type: ignore[attr-defined]
    content_range = re.fullmatch(
        r"bytes (?:(\d+)-\d+|\*)/(\d+)", headers.get("Content-Range", "")
    )
    if content_range:
        start, total = content_range.groups()
        if start is not None and int(start) != offset:
            raise OSError(f"the server sent bytes from {start}, asked from {offset}")
        return int(total)
    length = headers.get("Content-Length")
    return int(length) + offset if length is not None else None


def _copy(
    response: http.client.HTTPResponse,
    file: IO[bytes],
    total: int | None,
    offset: int,
    name: str,
    progress: bool,
) -> None:
    with tqdm(
        total=total,
        initial=offset,
        unit="B",
        unit_scale=True,
        desc=name,
        disable=not progress,
    ) as bar:
        while block := response.read(_BLOCK_BYTES):
            file.write(block)
            bar.update(len(block))
