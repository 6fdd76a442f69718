"""A picture as the body of a request: its kind, its size, and how long it takes."""

from __future__ import annotations

import asyncio
from typing import Any

from cmim.serve.limits import Limits, Refusal

#: Content types that are taken. Pages of other sites cannot send them without asking.
KINDS = ("image/jpeg", "image/png", "image/webp")


def check_kind(content_type: str) -> None:
    """Refuse what is not said to be a picture.

    Args:
        content_type: The header, empty where there is none.

    Raises:
        Refusal: 415.

    Examples:
        >>> check_kind("image/PNG; name=a")
        >>> check_kind("text/plain")
        Traceback (most recent call last):
        cmim.serve.limits.Refusal: the content type is 'text/plain'; send the picture...
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind not in KINDS:
        raise Refusal(
            415,
            f"the content type is {kind[:100]!r}; send the picture's file as the body, "
            f"with the content type {' or '.join(KINDS)}",
        )


async def read_body(request: Any, limits: Limits) -> bytes:
    """The whole body of a request, no larger and no slower than the limits say.

    Args:
        request: Of Starlette.
        limits: How many bytes and seconds.

    Raises:
        Refusal: 413, it is or says it is larger; 408, it takes longer; 400, it is empty
            or the connection ended.
    """
    from starlette.requests import ClientDisconnect

    said = request.headers.get("content-length", "0")
    if said.isdigit() and int(said) > limits.most_bytes:
        raise _too_large(limits)
    try:
        data = await asyncio.wait_for(_collect(request, limits), limits.seconds)
    except ClientDisconnect:
        raise Refusal(400, "the connection ended before the picture had come") from None
    except asyncio.TimeoutError:
        raise Refusal(
            408,
            f"the picture did not arrive within {limits.seconds:g} s; send a smaller "
            "one",
        ) from None
    if not data:
        raise Refusal(400, "the body is empty; send the picture's file as the body")
    return data


async def _collect(request: Any, limits: Limits) -> bytes:
    data = bytearray()
    async for part in request.stream():
        data += part
        if len(data) > limits.most_bytes:
            raise _too_large(limits)
    return bytes(data)


def _too_large(limits: Limits) -> Refusal:
    return Refusal(
        413,
        f"the picture has more than {limits.most_bytes / 1e6:g} MB, the limit; send a "
        "smaller one",
    )
