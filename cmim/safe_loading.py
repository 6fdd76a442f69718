"""mmengine's readers of files, made safe for the whole process when this is imported.

mmengine reads a checkpoint that torch refuses as unsafe once more without the
protection, downloads what looks like an address, reads YAML with a loader that can
call anything, and unpickles. ``init_cfg``, ``load_from``, hooks and base configs lead
there. Configs in Python are code, and stay so.
"""

from __future__ import annotations

from typing import Any, NoReturn

import mmengine.runner.checkpoint as mmengine_checkpoint
import yaml
from mmengine.fileio import BaseFileHandler, HTTPBackend, register_handler
from mmengine.fileio.handlers import PickleHandler, YamlHandler
from mmengine.model.weight_init import PretrainedInit
from mmengine.registry import WEIGHT_INITIALIZERS
from mmengine.runner import CheckpointLoader
from torch import nn

from cmim.checkpoint import CheckpointError, read_checkpoint


class UnsafeFileError(ValueError):
    """A file that would run code, or one that lies elsewhere."""


@register_handler(["yaml", "yml"])
class SafeYamlHandler(YamlHandler):
    """Reads plain values only; ``!!python/...`` is refused."""

    def load_from_fileobj(self, file: Any, **kwargs: Any) -> Any:
        """As in mmengine, with YAML's safe loader, whatever is asked for.

        Raises:
            UnsafeFileError: It holds more than plain values, or is no YAML.
        """
        try:
            return yaml.safe_load(file)
        except yaml.YAMLError as error:
            text = " ".join(str(error).split())
            raise UnsafeFileError(
                f"a YAML file holds more than plain values, or is damaged ({text}); "
                "nothing in it was run, write what it says as plain values"
            ) from None


@register_handler(["pickle", "pkl"])
class WriteOnlyPickleHandler(PickleHandler, BaseFileHandler):
    """Writes as before; to read a pickle is to run it, and is refused."""

    def load_from_fileobj(self, file: Any, **kwargs: Any) -> NoReturn:
        """Refuse.

        Raises:
            UnsafeFileError: Always.
        """
        raise UnsafeFileError(
            "a pickle can run any code when it is read, and is not read here; save "
            "what it holds as .json, .npy or by torch.save"
        )


@WEIGHT_INITIALIZERS.register_module(name="Pretrained", force=True)
class SafePretrainedInit(PretrainedInit):
    """``init_cfg=dict(type='Pretrained', checkpoint=FILE)``, of fitting files only.

    A start of training, so classes and pictures of the file are not compared.

    Args: as in mmengine; ``checkpoint`` is a local file.
    """

    def __call__(self, module: nn.Module) -> None:
        """Fill a module.

        Raises:
            CheckpointError: The file is damaged, unsafe, an address, has none of the
                module's weights, or one of another shape, of which mmengine only
                writes a line.
        """
        prefix = f"{self.prefix.rstrip('.')}." if self.prefix else ""
        # mmengine looks behind the wrapper's name only where no prefix is given.
        outside = prefix or "module."
        state = {
            key.removeprefix(outside): value
            for key, value in read_checkpoint(self.checkpoint)["state_dict"].items()
            if key.startswith(prefix)
        }
        own = module.state_dict()
        other = [k for k, v in own.items() if k in state and state[k].shape != v.shape]
        if other or not own.keys() & state.keys():
            what = f"'{other[0]}' in another shape" if other else "none of its weights"
            raise CheckpointError(
                f"checkpoint '{self.checkpoint}' of init_cfg does not fit a "
                f"{type(module).__name__}: it has {what}; encoders are started by "
                "init_from, which also says what is missing"
            )
        super().__call__(module)


def _load_safely(
    filename: Any, map_location: Any = None, logger: Any = None, **_: Any
) -> dict[str, Any]:
    """In place of mmengine's loaders of checkpoints, whatever the address."""
    return read_checkpoint(filename)


def _refuse_address(*arguments: Any, **_: Any) -> NoReturn:
    # Methods of a backend come with their object in front.
    address = next((a for a in arguments if isinstance(a, str)), "an address")
    raise UnsafeFileError(
        f"'{address}' would be downloaded, and nothing is fetched unasked; download "
        "it, compare its SHA-256, and give the file's path"
    )


def _install() -> None:
    CheckpointLoader.load_checkpoint = staticmethod(_load_safely)
    CheckpointLoader._schemes = dict.fromkeys(CheckpointLoader._schemes, _load_safely)
    mmengine_checkpoint.load_from_local = _load_safely
    mmengine_checkpoint.load_url = _refuse_address
    HTTPBackend.get = _refuse_address
    HTTPBackend.get_text = _refuse_address


_install()
