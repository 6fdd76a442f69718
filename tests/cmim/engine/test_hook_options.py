"""What mmengine's hooks assert of their options is said as any other wrong option."""

from types import SimpleNamespace

import pytest
from mmengine.config import Config
from mmengine.hooks import EMAHook
from mmengine.registry import HOOKS

from cmim.engine.config import ConfigError
from cmim.engine.config_place import named_part
from cmim.engine.config_values import check_values


def config_of(**options) -> Config:
    hooks = [dict(type="RecordTiming"), dict(type="EMAHook", **options)]
    config = Config(dict(custom_hooks=hooks))
    config.__dict__["_filename"] = "a.py"
    return config


@named_part
def start(config: Config) -> None:
    """What a run does with a hook before its first step."""
    hook = HOOKS.build(config.custom_hooks[1])
    hook.before_train(SimpleNamespace(max_iters=10, max_epochs=1))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (dict(begin_iter=20), "equal to runner.max_iters: 10, but got begin_iter: 20"),
        (dict(begin_iter=-1), "begin_iter"),
        (dict(begin_iter=1, begin_epoch=1), "begin_epoch"),
    ],
)
def test_an_assertion_of_a_hook_is_one_sentence(options, said):
    with pytest.raises(ConfigError, match=said) as caught:
        start(config_of(**options))
    text = str(caught.value)
    assert text.startswith("config 'a.py', custom_hooks.1 (EMAHook): ")
    assert "AssertionError" not in text


@pytest.mark.parametrize(
    "part",
    [
        dict(train_dataloader=dict(batch_size=True)),
        dict(model=dict(crop_size=(True, 4))),
        dict(custom_hooks=[dict(type=EMAHook, begin_iter=True)]),
    ],
    ids=str,
)
def test_a_switch_is_no_number(part):
    with pytest.raises(ConfigError, match="True"):
        check_values(part, "a.py")
