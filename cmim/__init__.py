"""CMIM: binarized encoders trained with a contrastive mutual-information loss.

Reference: Shang et al., Network Binarization via Contrastive Learning, ECCV 2022.
https://arxiv.org/abs/2207.02970
"""

from cmim.guards import guard_process

__version__ = "0.2.0"

guard_process()
