"""Names and colours of the 40 NYU Depth v2 classes.

Class ids are 1..40 in the order of ``NYU40_CLASSES``; 0 is void (unlabelled).

References:
    Gupta, Arbelaez, Malik, Perceptual Organization and Recognition of Indoor
    Scenes from RGB-D Images, CVPR 2013.
"""

import colorsys

#: Spelling as in the authors' mapping file (``refridgerator`` included).
NYU40_CLASSES: tuple[str, ...] = (
    "wall",
    "floor",
    "cabinet",
    "bed",
    "chair",
    "sofa",
    "table",
    "door",
    "window",
    "bookshelf",
    "picture",
    "counter",
    "blinds",
    "desk",
    "shelves",
    "curtain",
    "dresser",
    "pillow",
    "mirror",
    "floor mat",
    "clothes",
    "ceiling",
    "books",
    "refridgerator",
    "television",
    "paper",
    "towel",
    "shower curtain",
    "box",
    "whiteboard",
    "person",
    "night stand",
    "toilet",
    "sink",
    "lamp",
    "bathtub",
    "bag",
    "otherstructure",
    "otherfurniture",
    "otherprop",
)

_GOLDEN_RATIO = 0.618033988749895


def _palette_color(position: int) -> tuple[int, int, int]:
    """Return the RGB colour (0..255) of the class at a 0-based position.

    Hues advance by the golden ratio, so that neighbouring ids differ strongly;
    saturation and value cycle to keep similar hues apart.
    """
    hue = (position * _GOLDEN_RATIO) % 1.0
    saturation = (0.85, 0.5, 0.7)[position % 3]
    value = (0.95, 0.75, 0.55, 0.85)[position % 4]
    red, green, blue = colorsys.hsv_to_rgb(hue, saturation, value)
    return round(255 * red), round(255 * green), round(255 * blue)


#: One RGB colour per class, same order as ``NYU40_CLASSES``; void is black.
NYU40_PALETTE: tuple[tuple[int, int, int], ...] = tuple(
    _palette_color(position) for position in range(len(NYU40_CLASSES))
)


def class_id(name: str) -> int:
    """Return the id 1..40 of a class name.

    Raises:
        ValueError: If the name is not one of ``NYU40_CLASSES``.

    Examples:
        >>> class_id("wall"), class_id("otherprop")
        (1, 40)
    """
    if name not in NYU40_CLASSES:
        raise ValueError(
            f"class {name!r} is unknown; choose from {', '.join(NYU40_CLASSES)}"
        )
    return NYU40_CLASSES.index(name) + 1
