"""What the translation calls of TensorFlow, in NumPy: programs run without it.

Images are ``(N, H, W, C)``, kernels ``(kh, kw, I, O)``, padding as TensorFlow's guide
says it: "SAME" puts the odd zero behind.
"""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import torch
import torch.nn.functional as F


def _tensor(x) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(x, np.float32))


def _same(size: int, reach: int, stride: int) -> list[int]:
    zeros = max((-(-size // stride) - 1) * stride + reach - size, 0)
    return [zeros // 2, zeros - zeros // 2]


def _padded(x, kernel, strides, padding, dilations, value):
    """Channels first, with what "SAME" adds around."""
    images = _tensor(x).permute(0, 3, 1, 2)
    if padding == "VALID":
        return images
    assert padding == "SAME"
    rows, columns = (
        _same(n, d * (k - 1) + 1, s)
        for n, k, s, d in zip(images.shape[2:], kernel, strides, dilations, strict=True)
    )
    return F.pad(images, (*columns, *rows), value=value)


def _pair(value):
    return [value, value] if isinstance(value, int) else list(value)


def conv2d(x, kernel, strides, padding, dilations=(1, 1), groups=1):
    strides, weight = _pair(strides), _tensor(kernel).permute(3, 2, 0, 1)
    images = _padded(x, weight.shape[2:], strides, padding, dilations, 0)
    out = F.conv2d(
        images.double(), weight.double(), None, strides, 0, tuple(dilations), groups
    )
    return out.float().permute(0, 2, 3, 1).numpy()


def depthwise_conv2d(x, kernel, strides, padding, dilations):
    assert strides[1] == strides[2]
    assert strides[1] == 1 or max(dilations) == 1
    rows, columns, inputs, times = kernel.shape
    grouped = kernel.reshape(rows, columns, 1, inputs * times)
    return conv2d(x, grouped, strides[1:3], padding, dilations, inputs)


def max_pool2d(x, kernel, strides, padding):
    images = _padded(x, kernel, strides, padding, (1, 1), -np.inf)
    return F.max_pool2d(images, kernel, strides).permute(0, 2, 3, 1).numpy()


def avg_pool2d(x, kernel, strides, padding):
    """The padding of "SAME" is not counted."""
    ones = np.ones_like(x)
    found, inside = (
        F.avg_pool2d(_padded(v, kernel, strides, padding, (1, 1), 0), kernel, strides)
        for v in (x, ones)
    )
    return (found / inside).permute(0, 2, 3, 1).numpy()


def resize(x, size, method):
    """Pixels are squares; what lies outside of the outermost centres is theirs."""
    assert method == "bilinear"
    images = _tensor(x).permute(0, 3, 1, 2)
    found = F.interpolate(images, tuple(size), mode="bilinear", align_corners=False)
    return found.permute(0, 2, 3, 1).numpy()


def _relu(x):
    return np.maximum(x, np.float32(0))


def _reduced(function):
    return lambda x, axis, keepdims: function(x, axis=tuple(axis), keepdims=keepdims)


numpy_tensorflow = SimpleNamespace(
    nn=SimpleNamespace(
        conv2d=conv2d,
        depthwise_conv2d=depthwise_conv2d,
        max_pool2d=max_pool2d,
        avg_pool2d=avg_pool2d,
        relu=_relu,
        relu6=lambda x: np.clip(x, 0, 6),
    ),
    linalg=SimpleNamespace(matmul=np.matmul),
    pad=lambda x, ends, constant_values=0.0: np.pad(
        x, ends, constant_values=constant_values
    ),
    where=lambda test, a, b: np.where(test, np.float32(a), np.float32(b)),
    constant=np.asarray,
    split=lambda x, count, axis: np.split(x, count, axis=axis),
    concat=np.concatenate,
    transpose=np.transpose,
    reshape=np.reshape,
    broadcast_to=np.broadcast_to,
    maximum=lambda x, y: np.maximum(x, np.float32(y)),
    minimum=lambda x, y: np.minimum(x, np.float32(y)),
    exp=np.exp,
    abs=np.abs,
    sqrt=np.sqrt,
    image=SimpleNamespace(resize=resize),
    reduce_sum=_reduced(np.sum),
    reduce_mean=_reduced(np.mean),
    reduce_min=_reduced(np.min),
    reduce_max=_reduced(np.max),
)
