"""Download files over HTTP, resuming what an earlier attempt left behind."""

import http.client
import os
import re
import urllib.error
import urllib.request
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from tqdm import tqdm

from tasks.datasets.errors import DataError

_NYU = "http://horatio.cs.nyu.edu/mit/silberman"
# The copy of the class mapping that most published code uses.
_META = "https://raw.githubusercontent.com/ankurhanda/nyuv2-meta-data/master"
#: File name and address of what the preparation of NYUD-v2 needs.
NYUD_FILES = {
    "nyu_depth_v2_labeled.mat": f"{_NYU}/nyu_depth_v2/nyu_depth_v2_labeled.mat",
    "splits.mat": f"{_NYU}/indoor_seg_sup/splits.mat",
    "classMapping40.mat": f"{_META}/classMapping40.mat",
}
_BLOCK_BYTES = 1 << 20
_RANGE_NOT_SATISFIABLE = 416


class _WebOnly(urllib.request.HTTPRedirectHandler):
    """Follows redirects to http and https addresses only."""

    def redirect_request(self, req, fp, code, msg, headers, newurl):
        _check_address(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _check_address(url: str) -> None:
    if urlsplit(url).scheme not in ("http", "https"):
        raise DataError(f"{url}: not an http or https address; use one of these")


def download_nyud(folder: Path, progress: bool = True) -> list[Path]:
    """Download the three official NYUD-v2 files that are not yet in a folder.

    Raises:
        DataError: If a download fails; what arrived is kept and resumed.
    """
    return [
        download_file(url, folder / name, progress) for name, url in NYUD_FILES.items()
    ]


def download_file(
    url: str, target: Path, progress: bool = True, timeout: float = 60.0
) -> Path:
    """Download one file through ``<target>.part``; an existing target is kept.

    Args:
        url: http or https address.
        target: Where the file goes once its size is right.
        progress: Whether to show a bar.
        timeout: Seconds without data after which the attempt fails.

    Raises:
        DataError: If the address is not http(s), the server cannot be reached,
            or the size is not what the server announced.
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
    os.replace(part, target)
    return target


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
