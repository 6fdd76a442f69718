"""What is advised about classes can be written into the config as it stands."""

import pytest

from cmim.engine.config_classes import check_classes
from cmim.engine.config_error import ConfigError


@pytest.mark.parametrize(
    ("count", "said"), [(3, r"\(num_classes=2\)"), (1, "has one class.*num_classes=2")]
)
def test_advice_names_the_model_as_the_config_does(count, said):
    """Short configs have no task_model; a line that names it would not run."""
    names = ["a", "b"][: 1 if count == 1 else 2]
    task = dict(decode_head=dict(num_classes=count))
    config = dict(
        test_dataloader=dict(dataset=dict(metainfo=dict(classes=names))),
        model=dict(model=task),
    )
    with pytest.raises(ConfigError, match=said) as error:
        check_classes(config, task)
    assert " model.model.decode_head.update(" in str(error.value)
    with pytest.raises(ConfigError, match=r" task_model\.decode_head\.update\("):
        check_classes({**config, "task_model": task}, task)
    with pytest.raises(ConfigError, match=r" model\.decode_head\.update\("):
        check_classes({**config, "model": task}, task)
