"""Semantic edges: boundaries between classes, head, loss, metric."""

import cmim.safe_loading  # noqa: F401
from tasks.edges.assignment_metric import EdgeAssignmentMetric
from tasks.edges.class_edge_metric import ClassEdgeMetric
from tasks.edges.ground_truth import AddEdges
from tasks.edges.head import EdgeHead
from tasks.edges.losses import BalancedEdgeLoss
from tasks.edges.metrics import EdgeMetric
from tasks.edges.task import TASK

__all__ = [
    "TASK",
    "AddEdges",
    "BalancedEdgeLoss",
    "ClassEdgeMetric",
    "EdgeAssignmentMetric",
    "EdgeHead",
    "EdgeMetric",
]
