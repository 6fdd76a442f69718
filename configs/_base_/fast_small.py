"""Binary encoders for few milliseconds, what heads read of them, and their teacher.

A grouped stem in place of the 7x7 convolution, 48 to 384 channels at output stride 16.
Wider: backbone.base_channels=64 and in_channels=(128,512) of each head. Faster yet:
backbone.output_stride=32.
"""

from cmim.encoders import BinaryQuickNet, BinaryResNet

encoder = dict(
    type=BinaryResNet,
    depth=18,
    method="bireal",
    stem="grouped",
    base_channels=48,
    output_stride=16,
)
quicknet = dict(
    type=BinaryQuickNet, method="bireal", base_channels=48, output_stride=16
)
# Strides 8 and 16.
# The heads cost more than the encoder where they are wide: 96 channels are 1.2 of its
# 10^9 multiplications in full precision each at 480x640, 48 are 0.35.
fused = dict(in_channels=(96, 384), in_index=(1, 3), channels=48, dilations=(1, 2))
# MobileNetV2's features of the same strides.
taps = {
    "backbone.layer2": "backbone.network.features.6",
    "backbone.layer4": "backbone.network.features.17",
}
