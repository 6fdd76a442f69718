"""MobileNetV2 at output stride 16, started from ImageNet, and what a head reads of it.

The weights are torchvision's, torchvision.models.MobileNet_V2_Weights.IMAGENET1K_V1.
"""

from cmim.encoders import BinarizedEncoder

encoder = dict(
    type=BinarizedEncoder,
    network="torchvision/mobilenet_v2",
    method="fp",
    output_stride=16,
    # Strides 8 and 16; the last convolution, to 1280 channels, is the classifier's.
    stages=("features.6", "features.17"),
    pretrained="data/weights/mobilenet_v2-b0353104.pth",
)
fused = dict(in_channels=(32, 320), in_index=(0, 1), channels=128, dilations=(1, 2))
# (With the dot: projections of the contrastive loss have names like backbone-layer4.)
# An encoder that knows much learns at a fifth of the head's rate.
rates = dict(custom_keys={"backbone.": dict(lr_mult=0.2)})
