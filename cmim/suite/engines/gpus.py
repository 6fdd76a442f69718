"""The GPUs that a process may use, by the names that its runs are told."""

from __future__ import annotations

import os

# The environment's variable that names the GPUs which a process may use.
VISIBLE = "CUDA_VISIBLE_DEVICES"


def own_gpus() -> list[str]:
    """Names of the GPUs of this machine that this process may use.

    They are those of :data:`VISIBLE` where it is set, numbers or whole names.

    Examples:
        >>> import torch
        >>> len(own_gpus()) == torch.cuda.device_count()
        True
    """
    import torch  # workers of engines, which read this file too, have no need of it

    count = torch.cuda.device_count()
    said = os.environ.get(VISIBLE)
    names = map(str, range(count)) if said is None else said.split(",")
    return [name.strip() for name in names][:count]
