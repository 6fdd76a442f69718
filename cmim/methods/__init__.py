"""One binarization paper per file, chosen by name."""

from cmim.methods.binarizer import ActivationBinarizer, WeightBinarizer
from cmim.methods.method import Method, available_methods, get_method

__all__ = [
    "ActivationBinarizer",
    "Method",
    "WeightBinarizer",
    "available_methods",
    "get_method",
]
