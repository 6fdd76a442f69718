"""Configs and overrides with a fault each: one sentence that names the culprit."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from fault_run import CONFIG, assert_said, options, run

NET = "model.model.backbone"
HEAD = "model.model.decode_head"
TRAIN = "train_dataloader"
AUGMENT = "train_dataloader.dataset.pipeline.1"
DATA = "train_dataloader.dataset"

# Override, value, what the sentence holds; refused where the config is read or built.
REFUSED = [
    (f"{NET}.depth", "eighteen", f"{NET}|a whole number|'eighteen'"),
    (f"{NET}.depth", 17, f"{NET} (BinaryResNet)|17|18, 20, 34"),
    (f"{NET}.depth", -18, f"{NET}|-18|18, 20, 34"),
    (f"{NET}.depth", None, f"{NET}|depth|None"),
    (f"{NET}.depth.x", 1, f"{NET}.depth|18|no parts"),
    (f"{NET}.method", "bireall", f"{NET}|'bireall'|bireal"),
    (f"{NET}.method", 5, f"{NET}|method 5"),
    (f"{NET}.method.foo", 5, f"{NET}|'foo'|magnitude_aware"),
    (f"{NET}.type", "BinaryResNett", f"{NET}|'BinaryResNett'|mean BinaryResNet"),
    (f"{NET}.base_channels", 0, f"{NET}.base_channels|at least 1|0"),
    (f"{NET}.base_channels", -8, f"{NET}.base_channels|at least 1|-8"),
    (f"{NET}.base_channels", "abc", f"{NET}.base_channels|a number|'abc'"),
    (f"{NET}.base_channels", 7.5, f"{NET}|base_channels|whole number|7.5"),
    (f"{NET}.foo", 1, f"{NET}|no option 'foo'|base_channels"),
    (f"{NET}.dephts", 18, f"{NET}|did you mean 'depth'"),
    (f"{NET}.output_stride", 7, f"{NET}|output_stride 7|4, 8, 16, 32"),
    (f"{NET}.out_indices", 3, f"{NET}|out_indices|3"),
    (NET, 5, f"{NET}|cannot become 5"),
    (f"{HEAD}.in_channels", -1, f"{HEAD}.in_channels|at least 1|-1"),
    (f"{HEAD}.num_classes", 0, f"{HEAD}.num_classes|at least 1"),
    (f"{HEAD}.num_classes", "x", f"{HEAD}.num_classes|'x'"),
    (f"{HEAD}.channels", 0, f"{HEAD}.channels|at least 1"),
    (f"{HEAD}.dilations", 5, f"{HEAD}.dilations|several numbers|5"),
    (f"{HEAD}.type", "DeepLabHeda", f"{HEAD}|did you mean|DeepLabHead"),
    (f"{HEAD}.loss_decode.type", "Foo", f"{HEAD}.loss_decode|type, in_channels"),
    ("model.model.type", "Foo", "model.model|'Foo'"),
    ("model", "x", "'model'|cannot become 'x'"),
    ("model", 5, "'model'|5"),
    ("model.partner", "latnet", "model (CMIM)|'latnet'|none, latent, teacher"),
    ("model.queue", -1, "model (CMIM)|queue|-1"),
    ("model.queue", "x", "model|queue|whole number|'x'"),
    ("model.pixels", 0, "model|pixels|0"),
    ("model.pixels", "many", "model|pixels|'many'"),
    ("model.loss", "foo", "model (CMIM)|loss 'foo'|info_nce"),
    ("model.loss.foo", 1, "model|info_nce|'foo'"),
    ("model.temperature", 0, "model|temperature|0"),
    ("model.temperature", "hot", "model|temperature|'hot'"),
    ("model.preset", "foo", "model|preset 'foo'|cmim"),
    ("model.model.data_preprocessor.mean", "(1,2)", "data_preprocessor.mean|2 numbers"),
    ("model.model.data_preprocessor.std", "(0,0,0)", "data_preprocessor.std|more than"),
    ("train_cfg.max_iters", 0, "train_cfg.max_iters|at least 1"),
    ("train_cfg.max_iters", -5, "train_cfg.max_iters|-5"),
    ("train_cfg.max_iters", "many", "train_cfg.max_iters|'many'"),
    ("train_cfg.max_iters", 2.5, "train_cfg|2.5"),
    ("train_cfg.max_iters", "inf", "train_cfg.max_iters|finite"),
    ("train_cfg.max_iters", None, "train_cfg.max_iters|None"),
    ("train_cfg.val_interval", 0, "train_cfg.val_interval|at least 1"),
    ("train_cfg.foo", 1, "train_cfg|'foo'|max_iters"),
    ("train_cfg.type", "IterLoop", "train_cfg|'IterLoop'|IterBasedTrainLoop"),
    (f"{TRAIN}.batch_size", 0, f"{TRAIN}.batch_size|at least 1"),
    (f"{TRAIN}.batch_size", -2, f"{TRAIN}.batch_size|-2"),
    (f"{TRAIN}.batch_size", "two", f"{TRAIN}.batch_size|'two'"),
    (f"{TRAIN}.batch_size", 2.5, f"{TRAIN}|2.5"),
    (f"{TRAIN}.batch_size", None, f"{TRAIN}.batch_size|None"),
    (f"{TRAIN}.num_workers", -1, f"{TRAIN}.num_workers|at least 0"),
    (f"{TRAIN}.num_workers", "x", f"{TRAIN}.num_workers|'x'"),
    (f"{TRAIN}.foo", 3, f"{TRAIN}|'foo'"),
    (f"{TRAIN}.sampler.type", "Foo", f"{TRAIN}.sampler|'Foo'"),
    (f"{DATA}.type", "Foo", f"{DATA}|'Foo'"),
    (f"{DATA}.split", "trian", f"{DATA}|'trian'|train, val"),
    (f"{DATA}.val_fraction", 2, f"{DATA}|val_fraction|2"),
    (f"{DATA}.val_fraction", "x", f"{DATA}|val_fraction|'x'"),
    (f"{DATA}.limit", 0, f"{DATA}.limit|at least 1"),
    (f"{DATA}.data_root", 5, f"{DATA}|data_root|5"),
    (f"{DATA}.metainfo", "x", f"{DATA}.metainfo|a dict|'x'"),
    (f"{DATA}.pipeline.0", "None", f"{DATA}.pipeline|a list of 3"),
    (f"{DATA}.pipeline.9.flip", 0, f"{DATA}.pipeline.9"),
    (f"{DATA}.pipeline.0.type", "LoadFram", f"{DATA}.pipeline.0|mean LoadFrame"),
    (f"{AUGMENT}.crop_size", "(0,0)", f"{AUGMENT}.crop_size|at least 1"),
    (f"{AUGMENT}.crop_size", 5, f"{AUGMENT}.crop_size|2 numbers|5"),
    (f"{AUGMENT}.crop_size", "(32,)", f"{AUGMENT}.crop_size|2 numbers|(32,)"),
    (f"{AUGMENT}.crop_size", "(a,b)", f"{AUGMENT}.crop_size|('a', 'b')"),
    (f"{AUGMENT}.scale", "(2,1)", f"{AUGMENT}|scale|(2, 1)"),
    (f"{AUGMENT}.scale", "x", f"{AUGMENT}.scale|2 numbers|'x'"),
    (f"{AUGMENT}.foo", 1, f"{AUGMENT} (AugmentFrame)|'foo'|crop_size"),
    ("optim_wrapper", None, "optim_wrapper.optimizer"),
    ("optim_wrapper.optimizer", None, "optim_wrapper.optimizer"),
    ("optim_wrapper.optimizer.lr", -1, "optim_wrapper.optimizer.lr|at least 0"),
    ("optim_wrapper.optimizer.lr", "fast", "optim_wrapper.optimizer.lr|'fast'"),
    ("optim_wrapper.optimizer.weight_decay", -1, "optimizer.weight_decay|-1"),
    ("optim_wrapper.optimizer.type", "Adamm", "optimizer.type 'Adamm'|Adam"),
    ("optim_wrapper.optimizer.foo", 1, "optim_wrapper.optimizer (AdamW)|'foo'|betas"),
    ("optim_wrapper.optimizer.betas", 3, "optim_wrapper.optimizer (AdamW)"),
    ("optim_wrapper.type", "Foo", "optim_wrapper|'Foo'"),
    ("optim_wrapper.clip_grad", 5, "optim_wrapper|clip_grad"),
    ("param_scheduler", 5, "param_scheduler|a list|5"),
    ("param_scheduler.0", 5, "param_scheduler|a list of 2"),
    ("param_scheduler.0.type", "Foo", "param_scheduler.0|'Foo'"),
    ("param_scheduler.0.end", -3, "param_scheduler.0 (LinearLR)|-3"),
    ("param_scheduler.0.start_factor", 5, "param_scheduler.0|factor"),
    ("default_hooks", None, "default_hooks|None"),
    ("default_hooks.checkpoint.interval", 0, "default_hooks.checkpoint|0"),
    ("default_hooks.checkpoint.interval", "x", "default_hooks.checkpoint|'x'"),
    ("default_hooks.checkpoint.foo", 1, "default_hooks.checkpoint|'foo'|interval"),
    ("default_hooks.logger.interval", 0, "default_hooks.logger|interval"),
    ("default_hooks.logger.interval", "x", "default_hooks.logger|'x'"),
    ("custom_hooks", "x", "custom_hooks|a list|'x'"),
    ("custom_hooks.0.type", "Foo", "custom_hooks.0|'Foo'"),
    ("randomness.seed", "x", "randomness.seed|'x'"),
    ("randomness.seed", -1, "randomness.seed|-1"),
    ("randomness.seed", 2**32, "randomness.seed|4294967296"),
    ("randomness", "x", "randomness|a dict|'x'"),
    ("randomness.foo", 1, "randomness|'foo'|seed"),
    ("env_cfg", None, "env_cfg|None"),
    ("env_cfg.foo", 1, "env_cfg|'foo'|dist_cfg"),
    ("log_level", "FOO", "log_level 'FOO'|INFO"),
    ("visualizer", "x", "visualizer|a dict|'x'"),
    ("sync_bn", 5, "sync_bn 5|torch"),
    ("find_unused_parameters", "x", "find_unused_parameters|True or False|'x'"),
    ("resume", "x", "'resume'|--resume"),
    ("launcher", "x", "'launcher'|--launcher"),
    ("test_evaluator", None, "test_evaluator|test_dataloader=None"),
    ("val_cfg", None, "val_cfg|val_dataloader=None"),
    ("test_dataloader.batch_size", 0, "test_dataloader.batch_size|at least 1"),
    ("test_dataloader.dataset.pipeline.1.size", "(0,0)", "pipeline.1.size|at least 1"),
    ("data_root", "/nowhere", "'/nowhere'|does not exist"),
    ("data_root", 5, "'data_root'|a folder|5"),
    ("data_root", None, "'data_root'|a folder|None"),
    ("modell.partner", "latent", "no 'modell'|did you mean model"),
    ("max_iters", 5, "'max_iters'|unknown key"),
    ("teacher", "x", "'teacher'|model.teacher"),
    ("load_from", "nowhere.pth", "'nowhere.pth'|does not exist"),
]
# What shows itself in a step only; in brackets the class of the part that was running.
IN_A_STEP = [
    (f"{HEAD}.in_channels", 63, f"{HEAD} (DeepLabHead)|63 channels", 1),
    ("model.model.data_preprocessor", None, f"{NET} (BinaryResNet)", 1),
    (f"{AUGMENT}.crop_size", "(3000000,4000000)", f"{AUGMENT}|memory is full", 1),
    ("default_hooks.checkpoint.best", "foo", "checkpoint (SaveCheckpoint)|'foo'", 2),
    ("test_evaluator.0.type", "Foo", "test_evaluator.0|'Foo'", 2),
    ("test_evaluator.0.foo", 1, "test_evaluator.0|'foo'|num_classes", 2),
    ("test_dataloader.dataset.pipeline.1.size", 7, "test_dataloader|7", 2),
]
# Text of a config, what the sentence holds.
BROKEN = {
    "syntax": ("x = (\n", "line 1|never closed"),
    "indent": ("model = dict()\n  x = 1\n", "line 2|indent"),
    "tabs": ("if 1:\n\tx = 1\n        y = 2\n", "line 3|tabs"),
    "name": ("x = 1\n_z = y\n", "line 2|'y'|define or import"),
    "zero": ("_x = 1 / 0\n", "line 1|ZeroDivisionError"),
    "key": ("_x = {}['a']\n", "line 1|'a'"),
    "attribute": ("_x = ().a\n", "line 1|AttributeError|'a'"),
    "assertion": ("assert 0\n", "line 1|AssertionError"),
    "exit": ("raise SystemExit(3)\n", "line 1|SystemExit"),
    "component": (
        "from cmim.models import CMIMM\nmodel = dict(type=CMIMM)\n",
        "line 1|cannot import CMIMM from cmim.models",
    ),
    "module": (
        "from cmim.nowhere import CMIM\nmodel = dict(type=CMIM)\n",
        "line 1|cmim.nowhere",
    ),
    "package": (
        "import nowhere_pkg\nmodel = dict(type=nowhere_pkg.X)\n",
        "line 1|nowhere_pkg",
    ),
    "base": ("from ._base_.nowhere import x", "_base_/nowhere.py' does not exist"),
    "broken_base": ("from .syntax import x", "syntax.py', line 1|never closed"),
    "other_base": ("from .empty import x", "'x'"),
    "circle": ("from .circle import *", "circle"),
    "empty": ("", "needs 'model'"),
    "typo": ("modle = dict()\n", "unknown key 'modle'"),
    "list": ("model = [1]\n", "model must be a dict|[1]"),
    "none": ("model = None\n", "needs 'model'"),
    "no_encoder": ("model = dict()\n", "needs 'model.backbone'"),
    "unfinished": ("model = dict(partner='latent')\n", "needs 'model.model'"),
    "text_base": ("_base_ = ['nowhere.py']\n", "nowhere.py"),
    "bytes": (b"x = '\xff'\n", "utf-8"),
    "null": (b"x = 1\0\n", "null"),
}


@pytest.fixture(autouse=True)
def tracebacks(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def said(name: str, value: object, words: str, rooms: Path, folder: Path, *status: int):
    chosen = options(**{"data_root": rooms, name: value})
    if value is None and not name.startswith("data_root"):
        # Nothing below a part that goes.
        chosen = [x for x in chosen if not x.startswith(f"{name}.")]
    outcome = run("train", CONFIG, "--work-dir", folder / "run", *chosen)
    assert_said(outcome, *words.split("|"), status=status or (2,))
    assert not (folder / "run" / "last.pth").exists()


@pytest.mark.parametrize(("name", "value", "words"), REFUSED[::4])
def test_overrides_are_refused(name, value, words, rooms, tmp_path):
    said(name, value, words, rooms, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "value", "words"), [case for k, case in enumerate(REFUSED) if k % 4]
)
def test_more_overrides_are_refused(name, value, words, rooms, tmp_path):
    said(name, value, words, rooms, tmp_path)


@pytest.mark.full
def test_what_fails_in_a_step_names_its_part(rooms, tmp_path):
    name, value, words, status = IN_A_STEP[0]
    said(name, value, words, rooms, tmp_path, status)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "value", "words", "status"), IN_A_STEP[1:])
def test_more_that_fails_in_a_step_names_its_part(
    name, value, words, status, rooms, tmp_path
):
    chosen = options(**{"data_root": rooms, name: value})
    outcome = run("train", CONFIG, "--work-dir", tmp_path / "run", *chosen)
    assert_said(outcome, *words.split("|"), status=(status,))


@pytest.mark.parametrize("name", BROKEN)
def test_a_config_that_cannot_be_run_names_file_and_line(name, tmp_path):
    for each, (text, _) in BROKEN.items():
        if isinstance(text, str) and text.startswith("from ."):
            head = "from mmengine.config import read_base\nwith read_base():\n    "
            text = head + text + "\n"
        data = text if isinstance(text, bytes) else text.encode()
        (tmp_path / f"{each}.py").write_bytes(data)
    outcome = run("test", tmp_path / f"{name}.py", "last.pth")
    assert_said(outcome, str(tmp_path), *BROKEN[name][1].split("|"))


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("configs/rooms_seg_birael.py", "does not exist|mean rooms_seg_bireal.py"),
        ("configs", "'configs' is a folder"),
        ("README.md", "no Python file"),
        ("nowhere/x.py", "'nowhere/x.py' does not exist"),
    ],
)
def test_a_path_that_is_no_config(path, words):
    assert_said(run("summary", path), *words.split("|"))
