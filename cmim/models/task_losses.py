"""How much the task model's own losses count."""

from __future__ import annotations

from typing import Any


def weigh_losses(losses: dict[str, Any], weight: float) -> dict[str, Any]:
    """Multiply the entries that are trained on (those named ``loss``) by a factor.

    Args:
        losses: A task model's losses: tensors, or lists of tensors.
        weight: The factor; at 1 nothing is touched.

    Examples:
        >>> weigh_losses({"loss_a": 2.0, "loss_b": [2.0, 4.0], "accuracy": 9.0}, 0.5)
        {'loss_a': 1.0, 'loss_b': [1.0, 2.0], 'accuracy': 9.0}
    """
    if weight == 1:
        return losses

    def scaled(value: Any) -> Any:
        return (
            [v * weight for v in value] if isinstance(value, list) else value * weight
        )

    return {k: scaled(v) if "loss" in k else v for k, v in losses.items()}
