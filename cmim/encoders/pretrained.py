"""Load weights of a plain network into the latent weights of a binary one."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from cmim.checkpoint import CheckpointError, read_checkpoint


def load_latent_weights(encoder: nn.Module, path: str | Path) -> None:
    """Load a state dict by name into an encoder.

    Accepts torchvision's ResNet state dicts and this project's checkpoints (keys with
    or without a ``backbone.`` prefix). A classifier (``fc``) is ignored, and so are 1x1
    shortcuts where the encoder's shortcuts have no weights; parameters that only the
    method adds keep their initial values; everything else must match.

    Args:
        encoder: The encoder to fill, in place.
        path: File saved with ``torch.save``; read with ``weights_only=True``.

    Raises:
        CheckpointError: No such file, or one that has no weight for some layer,
            another shape, or weights of layers that the encoder lacks (a deeper net).
    """
    state = read_checkpoint(path)["state_dict"]
    prefix = "backbone."
    if any(key.startswith(prefix) for key in state):
        state = {k[len(prefix) :]: v for k, v in state.items() if k.startswith(prefix)}
    own = encoder.state_dict()
    # A method's bypass: its shortcuts have no weights that the file's could fill.
    without_weights = not any(".downsample." in key for key in own)
    wrong = [
        key
        for key, value in own.items()
        if key.endswith((".weight", ".running_mean"))
        and (key not in state or state[key].shape != value.shape)
        and not _only_in_method(key)
    ]
    wrong += [
        key
        for key in state
        if key.endswith((".weight", ".running_mean"))
        and key not in own
        and not key.startswith("fc.")
        and not _only_in_method(key)
        and not (without_weights and ".downsample." in key)
    ]
    if wrong:
        raise CheckpointError(
            f"init_from '{path}' does not fit this encoder: {len(wrong)} weights are "
            f"missing, superfluous or of another shape, the first is '{wrong[0]}'; use "
            "weights of the same depth and base_channels"
        )
    fitting = {k: v for k, v in state.items() if k in own and v.shape == own[k].shape}
    encoder.load_state_dict(fitting, strict=False)


def _only_in_method(key: str) -> bool:
    parts = ("binarize", "nonlinearity", "weight_binarizer", ".scale")
    return any(part in key for part in parts)
