"""The contrastive losses: taps (where), pairs (who), scores, bounds, memory, losses."""

from cmim.contrast.contrastive_loss import ContrastiveLoss
from cmim.contrast.losses import (
    available_losses,
    get_loss,
    loss_defaults,
    used_options,
)
from cmim.contrast.losses.amdim import AMDIM
from cmim.contrast.losses.cmim_released import CMIMReleased
from cmim.contrast.losses.crd import CRD
from cmim.contrast.losses.dim import DeepInfoMax
from cmim.contrast.losses.donsker_varadhan import DonskerVaradhan
from cmim.contrast.losses.info_nce import InfoNCE
from cmim.contrast.losses.interpolated import Interpolated
from cmim.contrast.losses.jensen_shannon import JensenShannon
from cmim.contrast.losses.mine import MINE
from cmim.contrast.losses.moco import MoCo
from cmim.contrast.losses.nce import NCE
from cmim.contrast.losses.npid import NPID
from cmim.contrast.losses.nwj import NWJ
from cmim.contrast.losses.simsiam import SimSiam
from cmim.contrast.losses.sup_con import SupCon
from cmim.contrast.losses.tuba import TUBA
from cmim.contrast.losses.wcord import WCoRD
from cmim.contrast.options import BatchLabels, ContrastOptions
from cmim.contrast.taps import ActivationTaps, binarizer_names

__all__ = [
    "AMDIM",
    "CRD",
    "MINE",
    "NCE",
    "NPID",
    "NWJ",
    "TUBA",
    "ActivationTaps",
    "BatchLabels",
    "CMIMReleased",
    "ContrastOptions",
    "ContrastiveLoss",
    "DeepInfoMax",
    "DonskerVaradhan",
    "InfoNCE",
    "Interpolated",
    "JensenShannon",
    "MoCo",
    "SimSiam",
    "SupCon",
    "WCoRD",
    "available_losses",
    "binarizer_names",
    "get_loss",
    "loss_defaults",
    "used_options",
]
