"""Reads in a checkpoint's pickle how large its tensors say they are.

Nothing that the pickle names is imported or called: names stand for themselves, and
the few by which tensors are saved are read for their sizes.
"""

from __future__ import annotations

import io
import math
import pickle
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import torch

# A tensor that repeats its values (``expand``) may be larger than what is stored.
MAX_REPEATED = 1 << 20
_ITEM_BYTES = {
    "FloatStorage": 4, "DoubleStorage": 8, "HalfStorage": 2, "BFloat16Storage": 2,
    "LongStorage": 8, "IntStorage": 4, "ShortStorage": 2, "CharStorage": 1,
    "ByteStorage": 1, "BoolStorage": 1, "ComplexFloatStorage": 8,
    "ComplexDoubleStorage": 16, "UntypedStorage": 1,
}  # fmt: skip
# What else plain values are made with; each is as large as what it is made of.
_PLAIN = {
    "collections.OrderedDict", "collections.Counter", "builtins.set",
    "builtins.complex", "torch.Size", "torch.device", "_codecs.encode",
    "torch.serialization._get_layout",
}  # fmt: skip


class ArchiveError(ValueError):
    """A checkpoint's archive that is damaged or larger inside than it is."""


class UnsafePickleError(ArchiveError):
    """A checkpoint that holds more than tensors and plain values."""


def check_tensor_sizes(data: bytes, storages: Mapping[str, int]) -> None:
    """Refuse tensors that are larger than the records that hold their values.

    Args:
        data: The pickle of a checkpoint.
        storages: Bytes of each record of values, by its name.

    Raises:
        ArchiveError: A tensor reaches beyond its record, or a record is missing or of
            another size.
        UnsafePickleError: It names what torch would not load, or is no pickle.

    Examples:
        >>> check_tensor_sizes(pickle.dumps({"epoch": 3}), {})
        >>> check_tensor_sizes(pickle.dumps(print), {})
    """
    try:
        _SizeReader(data, storages).load()
    except ArchiveError:
        raise
    except Exception as error:
        # The unpickler fails in any way where a strange stream happens to lead it.
        raise UnsafePickleError("is not a plain checkpoint of tensors") from error


class _Storage:
    """A record of values: how many there are, and how large each is."""

    def __init__(self, count: int, item_bytes: int) -> None:
        self.bytes = count * item_bytes
        self.item_bytes = item_bytes


class _Value:
    """Stands for anything whose size does not matter; can be filled like it."""

    def __setstate__(self, state: object) -> None:
        """Attributes of what is only looked at do not matter."""

    def __setitem__(self, key: object, value: object) -> None:
        """Nor do entries."""


class _Name:
    """Stands for a name; what is called must be known."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, *arguments: Any) -> _Value:
        maker = _MAKERS.get(self.name)
        if maker is not None:
            maker(*arguments)
        elif self.name not in _PLAIN:
            raise UnsafePickleError(
                f"is not a plain checkpoint of tensors: it calls {self.name[:80]}"
            )
        return _Value()

    def __setstate__(self, state: object) -> NoReturn:
        raise UnsafePickleError("is not a plain checkpoint of tensors")


class _SizeReader(pickle.Unpickler):
    def __init__(self, data: bytes, storages: Mapping[str, int]) -> None:
        super().__init__(io.BytesIO(data))
        self._storages = storages

    def find_class(self, module: str, name: str) -> _Name:
        module = {"__builtin__": "builtins"}.get(module, module)
        return _Name(f"{module}.{name}")

    def persistent_load(self, pid: Any) -> _Storage:
        _, kind, key, _, count = pid
        item = _ITEM_BYTES.get(kind.name.rpartition(".")[2])
        if item is None:
            raise UnsafePickleError(f"holds values of the unknown kind {kind.name}")
        stored = self._storages.get(key)
        if stored is None or not isinstance(count, int) or count * item != stored:
            raise ArchiveError(
                f"claims {count} values of {item} bytes in the record 'data/{key}', "
                f"which has {'none' if stored is None else stored} bytes"
            )
        return _Storage(count, item)


def _check_tensor(
    storage: _Storage, offset: int, size: tuple[int, ...], stride: tuple[int, ...],
    *_: object,
) -> None:  # fmt: skip
    _check_extent(storage, storage.item_bytes, offset, size, stride)


def _check_typed_tensor(
    storage: _Storage, offset: int, size: tuple[int, ...], stride: tuple[int, ...],
    requires_grad: object, hooks: object, dtype: _Name, *_: object,
) -> None:  # fmt: skip
    kind = getattr(torch, dtype.name.removeprefix("torch."), None)
    if not isinstance(kind, torch.dtype):
        raise UnsafePickleError(f"holds a tensor of the unknown type {dtype.name}")
    _check_extent(storage, kind.itemsize, offset, size, stride)


def _check_extent(
    storage: _Storage, item: int, offset: int, size: tuple, stride: tuple
) -> None:
    numbers = (offset, *size, *stride)
    whole = all(type(n) is int and n >= 0 for n in numbers)
    if not whole or len(size) != len(stride):
        raise ArchiveError(f"holds a tensor of the impossible shape {size!r}"[:200])
    count = math.prod(size)
    last = offset + sum((n - 1) * s for n, s in zip(size, stride, strict=True))
    stored = storage.bytes // item
    if count and (last >= stored or count > max(stored, MAX_REPEATED)):
        raise ArchiveError(
            f"claims a tensor of shape {size!r} where {stored} values are stored"[:300]
        )


def _check_subclass(rebuild: _Name, kind: object, arguments: tuple, *_: object) -> None:
    rebuild(*arguments)


def _check_bytes(*arguments: object) -> None:
    if any(isinstance(argument, int) for argument in arguments):
        raise ArchiveError("asks for memory that it does not fill")


def _any(*_: object) -> None:
    """As large as what it is made of."""


_MAKERS: dict[str, Callable[..., None]] = {
    "torch._utils._rebuild_tensor": _check_tensor,
    "torch._utils._rebuild_tensor_v2": _check_tensor,
    "torch._utils._rebuild_tensor_v3": _check_typed_tensor,
    "torch._utils._rebuild_parameter": _any,
    "torch._utils._rebuild_parameter_with_state": _any,
    "torch._tensor._rebuild_from_type_v2": _check_subclass,
    "builtins.bytearray": _check_bytes,
}
