"""Scene classification as a task: what others ask of it."""

from cmim.functional.ensemble import log_mean_softmax
from cmim.task import Task
from tasks.classification.metrics import right_share
from tasks.classification.task import fill_label, random_label

# The classes of the data are those of pixels: scenes have their own.
TASK = Task(
    name="scene",
    truth="gt_label",
    prediction="pred_logits",
    fill=fill_label,
    figure="top1",
    channels=0,
    answer="fc",
    synthesize=random_label,
    average=log_mean_softmax,
    of_sums=right_share,
)
