"""A run ends at the first step that is not finite, and says which."""

from types import SimpleNamespace

import pytest
import torch
from mmengine.optim import OptimWrapper

from cmim.hooks import DivergedError, StopWhenDiverged

NAN, INF = float("nan"), float("inf")


class Run:
    """Steps of a layer with the hook, as the training loop does them."""

    def __init__(self, folder, on_device: bool = False, **options) -> None:
        self.layer = torch.nn.Linear(2, 1)
        optimizer = torch.optim.SGD(self.layer.parameters(), lr=0.1)
        wrapper = OptimWrapper(optimizer, **options)
        self.runner = SimpleNamespace(
            optim_wrapper=wrapper, iter=0, work_dir=str(folder)
        )
        self.hook = StopWhenDiverged(interval=4)
        if on_device:
            self.hook.waits = lambda values: True
        self.hook.before_train(self.runner)

    def step(self, loss: float = 1.0, gradient: float = 1.0, **others: float) -> None:
        value = (self.layer(torch.ones(1, 2)) * gradient).sum()
        self.runner.optim_wrapper.update_params(value)
        outputs = {"loss": torch.tensor(loss), "acc_seg": torch.tensor(NAN)}
        outputs |= {name: torch.tensor(v) for name, v in others.items()}
        self.hook.after_train_iter(self.runner, 0, outputs=outputs)
        self.runner.iter += 1


@pytest.mark.parametrize("value", [NAN, INF, -INF])
def test_a_loss_is_named_with_its_step(tmp_path, value):
    run = Run(tmp_path)
    run.step()
    run.step(loss_ce=2.0)
    with pytest.raises(DivergedError, match=r"^step 3: loss (nan|-?inf), cmim.loss_x"):
        run.step(value, **{"cmim.loss_x": value, "loss_ce": 2.0})


def test_a_gradient_is_named_though_the_loss_is_finite(tmp_path):
    run = Run(tmp_path)
    with pytest.raises(DivergedError, match="step 1: gradient inf is not finite"):
        run.step(gradient=INF)


def test_large_gradients_whose_norm_overflows_are_finite(tmp_path):
    Run(tmp_path).step(gradient=1e38)


def test_steps_that_only_collect_gradients_are_no_divergence(tmp_path):
    run = Run(tmp_path, accumulative_counts=2)
    for _ in range(4):
        run.step()


def test_on_a_device_the_first_step_is_remembered_until_it_is_read(tmp_path):
    run = Run(tmp_path, on_device=True)
    run.step()
    run.step(NAN)
    run.step(loss=1.0, gradient=NAN)
    with pytest.raises(DivergedError, match="step 2: loss nan is not finite"):
        run.step()


@pytest.mark.parametrize("name", ["before_val", "before_save_checkpoint"])
def test_on_a_device_it_is_read_before_anything_is_kept(tmp_path, name):
    run = Run(tmp_path, on_device=True)
    run.step(NAN)
    rest = ({},) if name == "before_save_checkpoint" else ()
    with pytest.raises(DivergedError, match="step 1: loss nan"):
        getattr(run.hook, name)(run.runner, *rest)


@pytest.mark.parametrize("part", ["state_dict", "optimizer"])
def test_weights_that_are_not_finite_are_not_written(tmp_path, part):
    checkpoint = {"state_dict": {"w": torch.ones(1)}, "optimizer": {}}
    run = Run(tmp_path)
    run.hook.before_save_checkpoint(run.runner, checkpoint)
    checkpoint[part]["w"] = torch.tensor([INF])
    with pytest.raises(DivergedError, match=rf"first '{part}.w'"):
        run.hook.before_save_checkpoint(run.runner, checkpoint)


def test_float16_that_only_skips_steps_is_a_divergence_once_it_is_hopeless(tmp_path):
    run = Run(tmp_path)
    scale = SimpleNamespace(get_scale=lambda: 2.0**-10)
    run.runner.optim_wrapper.loss_scaler = scale
    run.step()
    scale.get_scale = lambda: 2.0**-15
    with pytest.raises(DivergedError, match="no step is taken any more"):
        run.step()


def test_the_last_finite_checkpoint_is_named(tmp_path):
    (tmp_path / "last.pth").touch()
    with pytest.raises(DivergedError, match=r"last.pth' is the last finite checkpoint"):
        Run(tmp_path).step(NAN)
