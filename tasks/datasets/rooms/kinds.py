"""What the kinds of rendered rooms hold: furniture, wall patches, small things."""

from dataclasses import dataclass

from tasks.datasets.rooms import fixtures, furniture
from tasks.datasets.rooms.furniture import Builder


@dataclass(frozen=True)
class RoomKind:
    """What a kind of room may hold.

    Args:
        against_wall: Pieces that always stand along a wall.
        optional: Pieces of which a random number joins them.
        central: Pieces that stand anywhere.
        patches: Class names of flat things on the walls.
        clutter: Class names of small things on tops.
    """

    against_wall: tuple[Builder, ...]
    optional: tuple[Builder, ...]
    central: tuple[Builder, ...]
    patches: tuple[str, ...]
    clutter: tuple[str, ...]


ROOM_KINDS: dict[str, RoomKind] = {
    "bedroom": RoomKind(
        (furniture.build_bed, furniture.build_night_stand, furniture.build_dresser),
        (
            furniture.build_night_stand,
            furniture.build_desk,
            furniture.build_cabinet,
            furniture.build_television,
            fixtures.build_laundry,
        ),
        (furniture.build_chair, fixtures.build_bag, fixtures.build_boxes),
        ("window", "door", "picture", "mirror", "curtain", "clothes"),
        ("books", "clothes", "bag", "lamp", "paper", "pillow"),
    ),
    "living_room": RoomKind(
        (furniture.build_sofa, furniture.build_television),
        (
            furniture.build_bookshelf,
            furniture.build_sofa,
            fixtures.build_lamp,
            fixtures.build_pillar,
            furniture.build_cabinet,
            furniture.build_shelves,
        ),
        (
            furniture.build_coffee_table,
            furniture.build_chair,
            fixtures.build_bench,
            fixtures.build_person,
        ),
        ("window", "picture", "picture", "curtain", "door", "otherstructure"),
        ("books", "otherprop", "paper", "box"),
    ),
    "kitchen": RoomKind(
        (fixtures.build_counter, fixtures.build_refrigerator),
        (
            fixtures.build_counter,
            furniture.build_cabinet,
            furniture.build_shelves,
            fixtures.build_bench,
        ),
        (furniture.build_dining_set, furniture.build_chair, fixtures.build_boxes),
        ("window", "door", "towel", "picture", "blinds", "paper"),
        ("otherprop", "otherprop", "towel", "bag", "box", "paper"),
    ),
    "office": RoomKind(
        (furniture.build_desk, furniture.build_bookshelf),
        (
            furniture.build_desk,
            furniture.build_shelves,
            furniture.build_cabinet,
            fixtures.build_pillar,
            furniture.build_sofa,
        ),
        (furniture.build_chair, fixtures.build_boxes, fixtures.build_person),
        ("whiteboard", "window", "paper", "blinds", "door", "picture", "bag"),
        ("books", "paper", "box", "lamp", "otherprop"),
    ),
    "bathroom": RoomKind(
        (fixtures.build_toilet, fixtures.build_washbasin, fixtures.build_bathtub),
        (furniture.build_cabinet, fixtures.build_laundry, furniture.build_shelves),
        (fixtures.build_laundry, fixtures.build_bench),
        ("towel", "towel", "window", "mirror", "door", "picture"),
        ("towel", "otherprop", "box"),
    ),
    "dining_room": RoomKind(
        (furniture.build_cabinet,),
        (
            furniture.build_dresser,
            fixtures.build_lamp,
            furniture.build_bookshelf,
            fixtures.build_pillar,
            fixtures.build_bench,
        ),
        (furniture.build_dining_set, furniture.build_chair, fixtures.build_person),
        ("window", "picture", "door", "curtain", "mirror", "television"),
        ("otherprop", "books", "paper", "box"),
    ),
}
