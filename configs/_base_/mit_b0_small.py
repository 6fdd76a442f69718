"""mmseg's MiT-B0 (SegFormer's encoder), and what a head reads of it."""

from cmim.encoders import BinarizedEncoder

encoder = dict(
    type=BinarizedEncoder,
    network="mmseg/MixVisionTransformer",
    method="fp",
    network_options=dict(
        embed_dims=32,
        num_layers=(2, 2, 2, 2),
        num_heads=(1, 2, 5, 8),
        patch_sizes=(7, 3, 3, 3),
        sr_ratios=(8, 4, 2, 1),
        mlp_ratio=4,
        qkv_bias=True,
    ),
)
# Strides 8, 16 and 32.
fused = dict(
    in_channels=(64, 160, 256), in_index=(1, 2, 3), channels=128, dilations=(1, 2)
)
