"""Clients that send pictures as fast as they are answered, and what that costs."""

from __future__ import annotations

import http.client
import json
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit


@dataclass
class Load:
    """What clients have seen: seconds of each answer, and what was refused."""

    seconds: list[float] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)


def load(address: str, picture: bytes, clients: int, seconds: float) -> Load:
    """Let clients send a picture again and again, each over one connection.

    Args:
        address: Of the server, ``http://HOST:PORT``.
        picture: A PNG file.
        clients: How many at a time.
        seconds: How long.
    """
    found = Load()
    end = time.monotonic() + seconds
    threads = [
        threading.Thread(target=_client, args=(address, picture, end, found))
        for _ in range(clients)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def _client(address: str, picture: bytes, end: float, found: Load) -> None:
    connection = http.client.HTTPConnection(str(urlsplit(address).netloc), timeout=60)
    while time.monotonic() < end:
        begin = time.monotonic()
        try:
            connection.request(
                "POST", "/api/predict", picture, {"content-type": "image/png"}
            )
            response = connection.getresponse()
            answer = json.loads(response.read())
        except (OSError, ValueError, http.client.HTTPException) as error:
            found.refused.append(repr(error))
            connection.close()
            continue
        if response.status == 200 and answer["views"]:
            found.seconds.append(time.monotonic() - begin)
        else:
            found.refused.append(f"{response.status} {answer.get('error')}")
    connection.close()


def resident_megabytes(process: int) -> float:
    """Memory of a process that is in use, in units of 1,000,000 bytes (Linux)."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * 4096 / 1e6


def main() -> None:
    """Run ``load_run.py ADDRESS PROCESS PICTURE CLIENTS SECONDS``; prints figures."""
    import sys

    address, process, picture, clients, seconds = sys.argv[1:]
    data = Path(picture).read_bytes()
    load(address, data, int(clients), 5)
    before = resident_megabytes(int(process))
    found = load(address, data, int(clients), float(seconds))
    after = resident_megabytes(int(process))
    times = sorted(found.seconds)
    print(f"{len(times)} answers, {len(found.refused)} errors {found.refused[:3]}")
    print(f"median {times[len(times) // 2]:.3f} s, longest {times[-1]:.3f} s")
    print(f"memory {before:.1f} MB, then {after:.1f} MB: {after - before:+.1f} MB")


if __name__ == "__main__":
    main()
