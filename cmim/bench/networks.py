"""What networks of other libraries become: layers, operations, memory, export."""

from __future__ import annotations

import argparse
from typing import Any

from cmim.bench.benchmark import Benchmark
from cmim.engine import cli

_NORM = dict(type="BN")


def _hrnet_stage(kind: str, widths: tuple[int, ...]) -> dict[str, Any]:
    return dict(
        num_modules=1,
        num_branches=len(widths),
        block=kind,
        num_blocks=(2,) * len(widths),
        num_channels=widths,
    )


# What a network of mmseg needs to be told.
OPTIONS: dict[str, dict[str, Any]] = {
    # MiT-B0.
    "mmseg/MixVisionTransformer": dict(
        embed_dims=32, num_stages=4, num_layers=[2, 2, 2, 2], num_heads=[1, 2, 5, 8]
    ),
    "mmseg/STDCNet": dict(
        stdc_type="STDCNet1",
        channels=(32, 64, 256, 512, 1024),
        bottleneck_type="cat",
        num_convs=4,
        norm_cfg=_NORM,
        act_cfg=dict(type="ReLU"),
    ),
    "mmseg/BiSeNetV2": dict(norm_cfg=_NORM),
    # HRNet-W18 small.
    "mmseg/HRNet": dict(
        norm_cfg=_NORM,
        extra=dict(
            stage1=_hrnet_stage("BOTTLENECK", (64,)),
            stage2=_hrnet_stage("BASIC", (18, 36)),
            stage3=_hrnet_stage("BASIC", (18, 36, 72)),
            stage4=_hrnet_stage("BASIC", (18, 36, 72, 144)),
        ),
    ),
}
NETWORKS = (
    "torchvision/mobilenet_v2",
    "torchvision/mobilenet_v3_small",
    "torchvision/resnet50",
    "torchvision/regnet_y_400mf",
    "torchvision/densenet121",
    "torchvision/vgg16_bn",
    "torchvision/convnext_tiny",
    "torchvision/swin_t",
    "torchvision/vit_b_32",
    "timm/mobilenetv3_small_050",
    "timm/efficientnet_lite0",
    "timm/regnetx_002",
    "timm/hrnet_w18_small",
    "timm/convnext_tiny",
    "timm/swin_tiny_patch4_window7_224",
    "timm/vit_small_patch16_224",
    "mmseg/MobileNetV2",
    "mmseg/MixVisionTransformer",
    "mmseg/STDCNet",
    "mmseg/BiSeNetV2",
    "mmseg/HRNet",
)
COLUMNS = "{:34s} {:>6s} {:>5s} {:>7s} {:>7s} {:>7s} {:>7s}  {}"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``bench.py networks``."""
    parser.add_argument(
        "networks",
        nargs="*",
        metavar="LIBRARY/NAME",
        help=f"as BinarizedEncoder takes them (default: {len(NETWORKS)} of them)",
    )
    parser.add_argument("--method", default="reactnet", help="default: %(default)s")
    parser.add_argument(
        "--size",
        nargs=2,
        type=cli.positive,
        default=(224, 224),
        metavar=("HEIGHT", "WIDTH"),
        help="of the picture that is counted (default: 224 224)",
    )


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Run ``bench.py networks``; a row a network."""
    print(
        COLUMNS.format(
            "encoder", "binary", "kept", "GOPs", "before", "Mbit", "before", "exported"
        )
    )
    rows = []
    for name in args.networks or NETWORKS:
        row = network_row(name, args.method, tuple(args.size))
        rows.append(row)
        print(format_row(row), flush=True)
    return dict(method=args.method, size=list(args.size), networks=rows)


def network_row(name: str, method: str, size: tuple[int, int]) -> dict[str, Any]:
    """What becomes of a network: layers, cost of a picture, export.

    Args:
        name: As :class:`cmim.encoders.BinarizedEncoder` takes it.
        method: A binarization method.
        size: Height and width of the picture in pixels.

    Returns:
        ``binary`` and ``kept`` layers; ``totals`` and ``before`` as
        :func:`cmim.analysis.cost.totals` gives them, of the binary network and in full
        precision; ``exported`` layers, and ``refused``, the reason of an export that
        is not possible, else empty.

    Raises:
        ValueError: Unknown network or method.
    """
    import torch

    from cmim.analysis.cost import layer_costs, totals
    from cmim.deploy.binary_layer import ExportError
    from cmim.deploy.packed_conv import pack_network
    from cmim.encoders import BinarizedEncoder

    picture = torch.zeros(1, 3, *size)
    made = {
        word: BinarizedEncoder(name, word, network_options=OPTIONS.get(name)).eval()
        for word in ("fp", method)
    }
    before, after = (totals(layer_costs(made[w], picture)) for w in ("fp", method))
    encoder, packed, refused = made[method], 0, ""
    try:
        with torch.no_grad():
            packed = len(pack_network(encoder, picture)[1])
    except ExportError as error:
        refused = str(error)
    binary = sum(bool(row.became) for row in encoder.rows)
    return dict(
        network=name,
        binary=binary,
        kept=len(encoder.rows) - binary,
        totals=after,
        before=before,
        exported=packed,
        refused=refused,
    )


def format_row(row: dict[str, Any]) -> str:
    """A row as a line of the table.

    Args:
        row: From :func:`network_row`.
    """
    after, before = row["totals"], row["before"]
    return COLUMNS.format(
        row["network"],
        str(row["binary"]),
        str(row["kept"]),
        f"{after['ops'] / 1e9:.3f}",
        f"{before['ops'] / 1e9:.3f}",
        f"{after['memory_mbit']:.1f}",
        f"{before['memory_mbit']:.1f}",
        f"refused, {row['refused']}" if row["refused"] else f"{row['exported']} layers",
    )


BENCH = Benchmark(
    help="what networks of other libraries become",
    about="lists, for encoders of torchvision, timm and mmseg that are made binary, "
    "binary and kept layers, operations and memory of a picture (and those before, in "
    "full precision), and the layers that are exported, or why none is",
    add_options=add_options,
    measure=measure,
)
