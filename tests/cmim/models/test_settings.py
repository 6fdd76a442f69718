"""What the wrapper is told: the user's word, then the preset's, then defaults."""

import copy

import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from cmim.contrast import available_losses, get_loss, used_options
from cmim.models.read_labels import read_labels
from cmim.models.settings import DEFAULTS, PRESETS, Settings, resolve_settings
from cmim.models.tap_patterns import tap_patterns

CPU = torch.device("cpu")


def test_the_user_beats_the_preset_and_the_preset_the_defaults():
    plain = resolve_settings(None)
    assert (plain.partner, plain.loss, plain.beta) == ("latent", "info_nce", 1.0)
    assert plain.weight == DEFAULTS["latent"]["weight"]
    paper = resolve_settings("cmim")
    assert (paper.loss, paper.taps, paper.weight) == ("nce", "every_binarizer", 3.2)
    assert paper.negatives == "all" != DEFAULTS["latent"]["negatives"]
    assert paper.shared.stop_gradient is False
    mine = resolve_settings("cmim", weight=0.0, stop_gradient=True, loss="nwj")
    assert (mine.weight, mine.shared.stop_gradient, mine.loss) == (0.0, True, "nwj")
    assert mine.shared.projection == 128


def test_options_that_are_not_given_stay_at_the_partner_s_defaults():
    given = dict.fromkeys(
        ("partner", "loss", "taps", "weight", "queue", "stop_gradient")
    )
    assert resolve_settings(None, **given) == resolve_settings(None)
    teacher = resolve_settings(None, **{**given, "partner": "teacher"})
    assert (teacher.taps, teacher.negatives) == ("last_two_stages", "all")


def test_without_a_partner_nothing_is_tapped_whatever_is_given():
    assert resolve_settings(None, partner="none", taps=("backbone.*",)).taps == ()


def test_a_preset_brings_its_partner_whatever_the_config_names():
    for partner in ("none", "latent", None):
        settings = resolve_settings("cmim_released", partner=partner)
        assert (settings.partner, settings.taps) == ("teacher", "last_stage")


@pytest.mark.parametrize("partner", ["latent", "teacher"])
@pytest.mark.parametrize("name", available_losses())
def test_the_name_of_a_loss_is_enough(name, partner):
    settings = resolve_settings(None, partner=partner, loss=name)
    get_loss(name)(8, 8, settings.shared)


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_every_preset_resolves(preset):
    assert isinstance(resolve_settings(preset), Settings)


@pytest.mark.parametrize("preset", sorted(PRESETS))
@pytest.mark.parametrize("name", available_losses())
def test_a_preset_takes_any_loss(name, preset):
    """What the preset brings and the loss does not use is left out."""
    settings = resolve_settings(preset, loss=name)
    get_loss(name)(8, 8, settings.shared)
    assert settings.shared.projection == 128
    # What the user asks for is still refused.
    if "queue" not in used_options(name):
        wrong = resolve_settings(preset, loss=name, queue=7)
        with pytest.raises(ValueError, match="does not use queue, which is 7"):
            get_loss(name)(8, 8, wrong.shared)


@pytest.mark.parametrize(
    ("preset", "given", "message"),
    [
        ("paper", {}, "preset 'paper' is unknown; choose from cmim, cmim_released"),
        (None, {"partner": "twin"}, "partner 'twin' is unknown; choose from none, lat"),
        (None, {"negatives": "some"}, "negatives 'some' is unknown; choose from all"),
        (None, {"weight": -1.0}, "weight must not be negative, got -1.0"),
        (None, {"weight": float("nan")}, "weight must not be negative, got nan"),
        (None, {"beta": 0.5}, "beta must be at least 1, got 0.5"),
        (None, {"level": "region"}, "level 'region' is unknown; choose from pixel"),
        (None, {"sampling": "edge"}, "sampling 'edge' is unknown; choose from unif"),
        (None, {"temperature": 0.0}, "temperature must be positive, got 0.0"),
        (None, {"queue": -1}, "queue must not be negative, got -1"),
        (None, {"weight": float("inf")}, "weight must be finite, got inf"),
        (None, {"temperature": float("inf")}, "temperature must be finite"),
        (None, {"weight": "a"}, "needs weight to be a number, got 'a'"),
        (None, {"queue": 1e4}, "needs queue to be a whole number, got 10000.0"),
        (None, {"pixels": 2.5}, "needs pixels to be a whole number, got 2.5"),
        (None, {"gather": "no"}, "needs gather to be True or False, got 'no'"),
        (None, {"chunk": 0}, "chunk must be positive, got 0"),
    ],
)
def test_bad_values_are_answered_with_what_is_accepted(preset, given, message):
    with pytest.raises(ValueError, match=message):
        resolve_settings(preset, **given)


@pytest.fixture(scope="module")
def network():
    import cmim.encoders  # noqa: F401 - registers the encoders

    backbone = ConfigDict(
        type="BinaryResNet", depth=18, method="bireal", base_channels=8
    )
    return torch.nn.ModuleDict({"backbone": MODELS.build(backbone)})


def test_words_stand_for_the_usual_modules(network):
    every = tap_patterns(network, "every_binarizer")
    assert len(every) == 16
    assert every[0] == "backbone.layer1.0.binarize1"
    assert tap_patterns(network, "last_binarizer") == every[-1:]
    assert tap_patterns(network, "last_stage") == ["backbone.layer4"]
    two = ["backbone.layer3", "backbone.layer4"]
    assert tap_patterns(network, "last_two_stages") == two
    assert tap_patterns(network, "backbone.layer?") == ["backbone.layer?"]
    assert tap_patterns(network, ("a", "b")) == ["a", "b"]


def test_words_mean_the_stages_that_run(network):
    """Stages behind the last one that the encoder returns are not computed."""
    network = copy.deepcopy(network)
    network["backbone"].out_indices = (0, 1, 2)
    assert tap_patterns(network, "last_two_stages") == [
        "backbone.layer2",
        "backbone.layer3",
    ]
    assert tap_patterns(network, "last_stage") == ["backbone.layer3"]
    assert tap_patterns(network, "last_binarizer") == ["backbone.layer3.1.binarize2"]
    assert len(tap_patterns(network, "every_binarizer")) == 12
    network["backbone"].out_indices = (0,)
    with pytest.raises(ValueError, match=r"only backbone\.layer1 runs: .*last_stage"):
        tap_patterns(network, "last_two_stages")


def test_words_for_what_is_not_there_say_so():
    bare = torch.nn.ModuleDict({"backbone": torch.nn.Sequential(torch.nn.ReLU())})
    with pytest.raises(ValueError, match="needs an activation binarizer"):
        tap_patterns(bare, "last_binarizer")
    with pytest.raises(ValueError, match="found no stages"):
        tap_patterns(bare, "last_stage")


def sample(**entries) -> SegDataSample:
    made = SegDataSample()
    if "classes" in entries:
        made.gt_sem_seg = PixelData(data=entries["classes"])
    if "depth" in entries:
        made.set_data(dict(gt_depth_map=PixelData(data=entries["depth"])))
    if "label" in entries:
        made.set_data(dict(gt_label=entries["label"]))
    return made


def test_labels_exclude_negatives_only_if_asked():
    maps = [sample(classes=torch.tensor([[[3, 255]]]))] * 2
    labels = read_labels(maps, "all", CPU)
    assert labels.exclude is None
    assert labels.regions is None
    labels = read_labels(maps, "other_class", CPU)
    assert labels.exclude.tolist() == [[[3, -1]]] * 2
    regions = read_labels(maps, "all", CPU, regions=True)
    assert (regions.exclude, regions.regions.tolist()) == (None, [[[3, -1]]] * 2)


def test_other_label_takes_classes_where_there_are_any_and_depth_otherwise():
    depth = torch.tensor([[[0.0, 0.5]]])
    both = [sample(classes=torch.tensor([[[3, 4]]]), depth=depth)]
    assert read_labels(both, "other_label", CPU).exclude.tolist() == [[[3, 4]]]
    assert read_labels(both, "other_depth", CPU).exclude.tolist() == [[[-1, 0]]]
    only = read_labels([sample(depth=depth)], "other_label", CPU)
    assert only.exclude.tolist() == [[[-1, 0]]]


def test_the_class_of_an_image_is_a_map_of_one_pixel():
    labels = read_labels([sample(label=7), sample(label=2)], "other_label", CPU)
    assert labels.exclude.tolist() == [[[7]], [[2]]]
    assert labels.classes.tolist() == [7, 2]
    labels = read_labels(
        [sample(label=7)], "other_class", CPU, regions=False, image_level=True
    )
    assert labels.exclude.shape == (1, 1, 1)


def test_maps_are_no_labels_of_whole_images():
    maps = [sample(classes=torch.zeros(1, 2, 2, dtype=torch.long))]
    with pytest.raises(ValueError, match="needs one class an image"):
        read_labels(maps, "other_class", CPU, image_level=True)


@pytest.mark.parametrize(
    ("negatives", "missing"), [("other_class", "labels"), ("other_label", "depth")]
)
def test_missing_labels_are_named(negatives, missing):
    with pytest.raises(ValueError, match=f"needs {missing} in the training data"):
        read_labels([sample()], negatives, CPU)
