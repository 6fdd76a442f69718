"""Networks of timm, without weights."""

from __future__ import annotations

from typing import Any

from cmim.encoders.sources.source import Body
from cmim.optional_packages import require_packages


def SOURCE(name: str, in_channels: int, options: dict[str, Any]) -> Body:
    """A network of timm with its own account of its stages (``feature_info``).

    Args:
        name: As ``timm.create_model`` knows it, without a tag of weights.
        in_channels: Bands of the pictures.
        options: Further arguments of the network, such as ``output_stride``.

    Raises:
        ValueError: No such network, or options that it does not take.
        ImportError: timm is not installed.
    """
    require_packages("an encoder of timm", "timm")
    import timm

    if not timm.is_model(name):
        close = timm.list_models(f"*{name[:6]}*")[:20]
        raise ValueError(
            f"timm has no network {name!r}"
            + (f"; it has {', '.join(close)}, ..." if close else "")
        )
    if options.get("pretrained"):
        raise ValueError(
            "weights of timm are not downloaded: save them, and name the file with "
            "pretrained="
        )
    try:
        network = timm.create_model(
            name, pretrained=False, in_chans=in_channels, num_classes=0, **options
        )
    except (TypeError, RuntimeError, AssertionError, NotImplementedError) as error:
        raise ValueError(f"timm/{name}: {error}") from None
    config = getattr(network, "default_cfg", {})
    size = None
    if config.get("fixed_input_size") and not options.get("dynamic_img_size"):
        side = options.get("img_size", config["input_size"][-2:])
        size = (side, side) if isinstance(side, int) else tuple(side)
    return Body(network, _stages(network), features="forward_features", size=size)


def _stages(network: Any) -> list[str] | None:
    """Modules that timm names, one a stride: of transformers the last blocks."""
    info = getattr(network, "feature_info", None)
    entries = list(info) if isinstance(info, (list, tuple)) else []
    names = [e["module"] for e in entries if isinstance(e, dict) and "module" in e]
    present = dict(network.named_modules())
    names = [name for name in names if name in present]
    return names or None
