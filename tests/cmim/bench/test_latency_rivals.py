"""The rivals of the latency benchmark; nothing here is judged by time."""

from __future__ import annotations

import argparse
import copy
import json

import numpy as np
import pytest

pytest.importorskip("openvino")

import torch
from mmseg.registry import MODELS

from cmim.bench.latency import named_file
from cmim.bench.latency.accuracy import Trained, measure_accuracy
from cmim.bench.latency.measure import bench_latency
from cmim.bench.latency.report import draw_latency, format_latency
from cmim.bench.latency.rival_variants import make_rival_variants
from cmim.bench.latency.rivals import Rival, read_rivals, recorded_figures
from cmim.bench.latency.timing import summarise
from cmim.bench.latency.tradeoff import accuracy_of, draw_tradeoff, say_rivals
from cmim.bench.latency.variants import Variant, build_network
from cmim.deploy.network_core import NetworkCore
from cmim.engine.config import ConfigError, load_config
from cmim.engine.evaluate import evaluate
from cmim.json_file import JsonFileError
from cmim.task_model import component

CONFIG = "configs/nyud_seg_bireal_small.py"


def the_config():
    return load_config(CONFIG)


@pytest.mark.parametrize("task", ["seg", "depth"])
def test_mobilenet_is_the_one_of_the_projects_config(task):
    """So that a checkpoint of that config is one of the rival."""
    config = load_config(f"configs/nyud_{task}_bireal_binary_head_small.py")
    (rival,) = read_rivals(config, ["mobilenet_v2"])
    theirs = load_config(f"configs/nyud_{task}_mobilenet_v2_fp_small.py").model
    for part, only in (("backbone", {"pretrained"}), ("decode_head", set())):
        ours = rival.model[part]
        assert set(theirs[part]) - set(ours) <= only
        assert set(ours) - set(theirs[part]) <= {"in_channels"}
        for key in set(theirs[part]) & set(ours) - {"type", "loss_decode"}:
            assert ours[key] == theirs[part][key], key
        assert component(ours["type"]) is component(theirs[part]["type"])


@pytest.mark.parametrize("width", [8, 48])
def test_a_resnet_is_as_wide_as_it_is_named(width):
    (rival,) = read_rivals(the_config(), [f"resnet18-{width}"])
    model = MODELS.build(rival.model).eval()
    assert model.backbone.conv1.out_channels == width
    with torch.no_grad():
        shapes = [f.shape[1:] for f in model.backbone(torch.zeros(1, 3, 64, 96))]
        output = NetworkCore(model)(torch.zeros(1, 3, 64, 96))
    assert tuple(shapes[1]) == (2 * width, 8, 12), "stride 8"
    assert tuple(shapes[3]) == (8 * width, 4, 6), "stride 16"
    assert output.shape == (1, 40, 8, 12)
    own = the_config()
    assert own.model.model.backbone.method == "bireal", "the config stays as it was"


def test_a_config_of_the_same_task_is_a_rival():
    (rival,) = read_rivals(the_config(), ["nyud_seg_fp_small"])
    assert rival.name == "nyud_seg_fp_small"
    assert rival.model["backbone"]["method"] == "fp"


@pytest.mark.parametrize(
    ("names", "checkpoints", "said"),
    [
        (["mobilenet"], {}, "'mobilenet' is unknown; name mobilenet_v2, resnet18-W"),
        (["resnet18-0"], {}, "'resnet18-0' is unknown"),
        (["resnet18-8", "resnet18-8"], {}, "named twice"),
        (["nyud_depth_fp_small"], {}, "another task: it answers depth, and this"),
        (["resnet18-8"], {"resnet18-9": "x"}, "none of the rivals; choose from resn"),
        ([], {"resnet18-9": "x"}, "choose from those that --rivals names"),
        (["configs/none.py"], {}, "does not exist"),
    ],
)
def test_what_is_no_rival_is_refused(names, checkpoints, said):
    with pytest.raises(ConfigError, match=said):
        read_rivals(the_config(), names, checkpoints)


def test_heads_that_read_one_level_are_refused():
    config = load_config("configs/cifar10_resnet20_bireal.py")
    with pytest.raises(ConfigError, match="name a config of this task"):
        read_rivals(config, ["mobilenet_v2"])


def test_a_binary_network_is_no_rival(tmp_path):
    (rival,) = read_rivals(the_config(), ["nyud_seg_bireal_small"])
    rival.model["backbone"]["base_channels"] = 8
    rival.model["decode_head"].update(in_channels=64, channels=8)
    with pytest.raises(ConfigError, match="full precision: name its twin"):
        make_rival_variants(rival, None, torch.zeros(1, 3, 32, 48), tmp_path)


def test_words_of_checkpoints(tmp_path):
    file = tmp_path / "last.pth"
    file.touch()
    assert named_file(f"a={file}") == ("a", str(file))
    for word in ("a", "=b", "a=", f"a={file}x"):
        with pytest.raises(argparse.ArgumentTypeError):
            named_file(word)


def test_figures_beside_a_checkpoint(tmp_path):
    last = str(tmp_path / "last.pth")
    assert recorded_figures(last) is None
    record = tmp_path / "metrics.json"
    record.write_text(json.dumps(dict(steps=3)))
    assert recorded_figures(last) is None
    test = dict(mIoU=8.5, aAcc=None, per_class={}, images=6, seconds=1.0)
    record.write_text(json.dumps(dict(test=test)))
    assert recorded_figures(last) == dict(metrics={"mIoU": 8.5}, file=str(record))
    record.write_text("{")
    with pytest.raises(JsonFileError, match="damaged"):
        recorded_figures(last)


def variants_of_three_rounds() -> tuple[list[Variant], dict[str, list[float]]]:
    variants = [
        Variant("openvino_fp32", "float", 8.0),
        Variant("one_bit", "1-bit", 1.0, network="one_bit"),
        Variant("a_openvino_int8", "a, 8-bit", 2.0, network="a"),
        Variant("a_ort_int8", "a, other 8-bit", 3.0, network="a"),
    ]
    times = dict(
        openvino_fp32=[8.0, 8.0, 8.0],
        one_bit=[1.0, 3.0, 1.0],
        a_openvino_int8=[0.5, 3.0, 0.25],
        a_ort_int8=[2.0, 3.0, 2.0],
    )
    return variants, times


def figures_of(variants, row) -> dict:
    rows = {
        v.name: dict(network=v.network, label=v.label, megabytes=v.megabytes, note=None)
        for v in variants
    }
    return dict(
        threads={"1": row},
        variants=rows,
        rivals=["a"],
        recorded={},
        higher_is_better=True,
    )


def test_rivals_are_compared_within_rounds():
    variants, times = variants_of_three_rounds()
    row = summarise(variants, times)
    # Ratios 0.5, 1, 0.25 and 2, 1, 2.
    assert row["rivals"] == {"a_openvino_int8": 0.5, "a_ort_int8": 2.0}
    (line,) = say_rivals("1", figures_of(variants, row))
    assert line == (
        "1 thread: 'a, 8-bit', the fastest of this rival, is 2.00 x faster than "
        "'1-bit' (0.5 against 1.0 ms); its file has 2.00 MB against 1.00"
    )


def test_accuracy_is_measured_or_recorded(tmp_path):
    variants, times = variants_of_three_rounds()
    figures = figures_of(variants, summarise(variants, times))
    rows = figures["variants"]
    assert accuracy_of(rows["one_bit"], figures) is None
    assert not draw_tradeoff(tmp_path / "none.png", figures, "x")
    rows["one_bit"]["metrics"] = {"mIoU": 8.0, "aAcc": 40.0}
    figures["recorded"]["a"] = dict(metrics={"mIoU": 19.0}, file="a/metrics.json")
    assert accuracy_of(rows["one_bit"], figures) == ("mIoU", 8.0, True)
    assert accuracy_of(rows["a_ort_int8"], figures) == ("mIoU", 19.0, False)
    assert draw_tradeoff(tmp_path / "points.png", figures, "x")
    assert (tmp_path / "points.png").stat().st_size > 1000


@pytest.fixture
def tiny() -> tuple[Rival, list[torch.Tensor], torch.Tensor]:
    (rival,) = read_rivals(the_config(), ["resnet18-8"])
    rival.model["decode_head"]["channels"] = 8
    torch.manual_seed(0)
    images = [torch.randn(1, 3, 64, 96) for _ in range(4)]
    return rival, images, images[0]


def outputs(variant: Variant, example: torch.Tensor) -> np.ndarray:
    from cmim.bench.latency.engines import make_network

    return make_network(variant.path, variant.options)(example)[0].numpy()


@pytest.mark.full
def test_both_engines_compute_the_rival_in_float_and_nearly_in_8_bits(tiny, tmp_path):
    pytest.importorskip("nncf")
    rival, images, example = tiny
    torch.manual_seed(1)
    variants = make_rival_variants(rival, images, example, tmp_path)
    assert [v.name for v in variants] == [
        f"resnet18-8_{engine}_{bits}"
        for engine in ("openvino", "ort")
        for bits in ("fp32", "int8")
    ]
    torch.manual_seed(1)
    expected = NetworkCore(build_network(rival.model, None, rival.identity))(example)
    expected = expected.detach().numpy()
    for variant in variants:
        assert variant.network == rival.name
        if variant.note:
            assert "pip install 'cmim[rivals]'" in variant.note
            continue
        assert variant.megabytes > 0.1
        found = outputs(variant, example)
        error = np.abs(found - expected).mean() / np.abs(expected).mean()
        if variant.name.endswith("fp32"):
            assert error < 1e-5
        else:
            assert 1e-5 < error < 0.1
            assert variant.megabytes < 0.5 * variants[0].megabytes


@pytest.mark.slow
def test_the_whole_run_has_the_rivals(tmp_path):
    pytest.importorskip("nncf")
    options = {
        "model.model.backbone.base_channels": 8,
        "model.model.decode_head.in_channels": 64,
        "model.model.decode_head.channels": 8,
    }
    config = load_config(CONFIG, options)
    figures = bench_latency(
        copy.deepcopy(config),
        size=(40, 48),
        threads=(1,),
        rounds=1,
        out=tmp_path,
        rivals=["resnet18-8"],
    )
    times = figures["threads"]["1"]["ms"]
    assert times["resnet18-8_openvino_fp32"] > 0
    for name, row in figures["variants"].items():
        assert (name in times) == (row["note"] is None), name
    text = format_latency(figures)
    assert "'resnet18-8, " in text
    assert "of this rival" in text
    draw_latency(tmp_path / "bars.png", figures, "tiny")
    json.dumps(figures)


@pytest.mark.full
def test_accuracy_of_a_rival_is_that_of_its_weights_however_executed(rooms, tmp_path):
    config = load_config(
        "configs/rooms_seg_bireal.py",
        {"data_root": str(rooms), "test_dataloader.dataset.pipeline.1.size": (48, 64)},
    )
    (rival,) = read_rivals(config, ["resnet18-8"])
    rival.model["decode_head"]["channels"] = 8
    torch.manual_seed(0)
    model = build_network(rival.model, None, rival.identity)
    checkpoint = tmp_path / "last.pth"
    torch.save({"state_dict": model.state_dict()}, checkpoint)
    trained = Rival(rival.name, rival.model, rival.identity, str(checkpoint))
    example = torch.randn(1, 3, 48, 64)
    variants = make_rival_variants(trained, None, example, tmp_path)
    network = Trained(rival.model, rival.identity, str(checkpoint))
    figures = {v.name: {} for v in variants}
    measure_accuracy(figures, config, {rival.name: network}, variants, images=2)
    measured = {name: row["metrics"] for name, row in figures.items() if row}
    assert "resnet18-8_openvino_fp32" in measured
    config.test_dataloader.dataset.limit = 2
    config.test_dataloader.update(num_workers=0, persistent_workers=False)
    expected = evaluate(model, config)
    for name, metrics in measured.items():
        assert metrics["images"] == 2
        assert metrics["mIoU"] == pytest.approx(expected["mIoU"], abs=0.05), name
        assert abs(figures[name]["change"]) < 0.05
