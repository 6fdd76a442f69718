"""Which module of the teacher stands opposite one of the student."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from mmengine.logging import print_log
from torch import nn

from cmim.stages import Stage, stages_of


@dataclass(frozen=True)
class Pairs:
    """The teacher's modules by the names of the student's.

    Args:
        partners: The teacher's module of each of the student's.
        foreign: Names of the student's whose partners were named or found by their
            stride; the others are modules of equal names.
    """

    partners: Mapping[str, str]
    foreign: frozenset[str] = frozenset()


def named_pairs(taps: object) -> dict[str, str]:
    """The pairs of ``taps``, if it has any.

    Args:
        taps: What a config says: a pattern, several, or the teacher's modules by the
            student's.

    Examples:
        >>> named_pairs({"a": "b"}), named_pairs("last_stage")
        ({'a': 'b'}, {})
    """
    return dict(taps) if isinstance(taps, Mapping) else {}


def join_pairs(several: Iterable[tuple[str, Mapping[str, str]]]) -> dict[str, str]:
    """One list of the pairs that several parts of a config name.

    Args:
        several: Who names them, and the teacher's modules by the student's.

    Raises:
        ValueError: Two of them name different partners of one module.

    Examples:
        >>> join_pairs([("taps", {"a": "b"}), ("added loss 'x'", {"a": "c"})])
        Traceback (most recent call last):
        ValueError: 'a' is paired with the teacher's 'b' by taps and with 'c' by ...
    """
    joined: dict[str, str] = {}
    origin: dict[str, str] = {}
    for who, pairs in several:
        for own, other in pairs.items():
            if joined.setdefault(own, other) != other:
                raise ValueError(
                    f"'{own}' is paired with the teacher's '{joined[own]}' by "
                    f"{origin[own]} and with '{other}' by {who}; name one partner for "
                    "both"
                )
            origin.setdefault(own, who)
    return joined


def pair_modules(
    student: nn.Module,
    teacher: nn.Module,
    names: Sequence[str],
    named: Mapping[str, str],
) -> Pairs:
    """The partner of each tapped module.

    The one that is named; else the module of the same name; else, of a stage, the
    teacher's stage of equal stride (see :func:`nearest_stage`), which a line says.

    Args:
        student: The task model in training.
        teacher: The teacher's task model.
        names: Tapped modules of the student.
        named: The teacher's modules by the student's, as far as they are named.

    Raises:
        ValueError: The teacher has no such module, or a pattern is paired.

    Examples:
        >>> one, other = (nn.ModuleDict({n: nn.Identity()}) for n in ("a", "b"))
        >>> pair_modules(one, other, ["a"], {"a": "b"}).partners
        {'a': 'b'}
        >>> pair_modules(one, one, ["a"], {}).foreign
        frozenset()
    """
    unread = [name for name in named if name not in names]
    if unread:
        raise ValueError(
            f"taps pair '{unread[0]}', which is no module that is read: name one "
            f"module each, without patterns; read are {', '.join(names)}"
        )
    known = {name for name, _ in teacher.named_modules() if name}
    partners, found = {}, []
    for name in names:
        partner = named.get(name, name)
        if partner not in known:
            if name in named:
                raise ValueError(
                    f"taps pair '{name}' with '{partner}', and the teacher has no such "
                    f"module; {_both(student, teacher)}"
                )
            own, other = _by_stride(student, teacher, name)
            partner = other.name
            found.append(
                f"{name} (stride {own.stride}) with {partner} (stride {other.stride})"
            )
        partners[name] = partner
    if found:
        print_log(
            "the teacher's modules have other names; stages are compared by stride: "
            + ", ".join(found),
            logger="current",
            level=logging.INFO,
        )
    same = {name for name in names if partners[name] == name and name not in named}
    return Pairs(partners, frozenset(partners) - same)


def nearest_stage(stride: int, stages: Sequence[Stage]) -> Stage:
    """The last stage of equal stride; else the last of those whose stride is nearest.

    Nearest is what is fewer times larger or smaller.

    Args:
        stride: Input pixels per feature pixel.
        stages: At least one, shallow to deep.

    Examples:
        >>> stages = [Stage(f"s{s}", 8, s) for s in (4, 8, 16, 16)]
        >>> [nearest_stage(stride, stages).name for stride in (16, 32, 1)]
        ['s16', 's16', 's4']
        >>> nearest_stage(8, [Stage("a", 8, 4), Stage("b", 8, 16)]).name
        'b'
    """
    return min(reversed(stages), key=lambda s: abs(math.log2(s.stride / stride)))


def _by_stride(
    student: nn.Module, teacher: nn.Module, name: str
) -> tuple[Stage, Stage]:
    ours, theirs = stages_of(student), stages_of(teacher)
    own = next((stage for stage in ours if stage.name == name), None)
    if own is None or not theirs:
        raise ValueError(
            f"the teacher has no module '{name}', and only stages of the encoder are "
            f"matched by stride: name its partner, taps={{'{name}': MODULE}}; "
            f"{_both(student, teacher)}"
        )
    return own, nearest_stage(own.stride, theirs)


def _both(student: nn.Module, teacher: nn.Module) -> str:
    return (
        f"the student's stages are {_listed(stages_of(student))}; the teacher's are "
        f"{_listed(stages_of(teacher))}"
    )


def _listed(stages: Sequence[Stage]) -> str:
    return ", ".join(f"{s.name} (stride {s.stride})" for s in stages) or "not known"
