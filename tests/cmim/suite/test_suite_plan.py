"""Suite files and plans: what is multiplied, what a key depends on, what is refused."""

from __future__ import annotations

import pytest
import torch
from suite_cases import NEEDS, ROOMS, write_suite

from cmim.engine.config import ConfigError
from cmim.suite.content import data_digest
from cmim.suite.definition import read_suite, suites_folder
from cmim.suite.plan import plan_suite
from cmim.suite.select import select


def test_axes_and_seeds_are_multiplied(plan):
    runs = plan()
    assert len(runs) == len({run.key for run in runs}) == 8
    assert [(*run.labels.values(), run.seed) for run in runs[:3]] == [
        ("bireal", "none", 0),
        ("bireal", "none", 1),
        ("bireal", "latent", 0),
    ]
    assert {run.resolved["train_cfg"]["max_iters"] for run in runs} == {4}
    assert runs[2].resolved["model"]["partner"] == "latent"


def test_keys_depend_on_what_results_depend_on(plan, data):
    before = [run.key for run in plan()]
    assert [run.key for run in plan()] == before
    assert not set(before) & {r.key for r in plan(**{"train_cfg.max_iters": 5})}
    assert not set(before) & {r.key for r in plan(ROOMS + "threads = 2\n")}
    moved = data.rename(data.with_name("elsewhere"))
    assert [run.key for run in plan(data_root=str(moved))] == before
    (moved / "train.txt").write_text("2\n")
    data_digest.cache_clear()
    assert not set(before) & {run.key for run in plan(data_root=str(moved))}


def test_it_counts_which_folder_is_tested_on(plan, data):
    # Both were one run before: the same two folders, and configs alike without them.
    other = data.with_name("other")
    other.mkdir()
    (other / "train.txt").write_text("2\n")
    place = "test_dataloader.dataset.data_root"
    own = {run.key for run in plan()}
    outside = {run.key for run in plan(**{place: str(other)})}
    places = ["train_dataloader.dataset.data_root", "val_dataloader.dataset.data_root"]
    swapped = {run.key for run in plan(**dict.fromkeys(places, str(other)))}
    assert [len(own), len(own | outside), len(own | outside | swapped)] == [8, 16, 24]


def test_a_suite_file_may_have_names_of_its_own(tmp_path):
    text = "_first = dict(lr=0.1)\n" + ROOMS
    assert list(read_suite(write_suite(tmp_path, text)).seeds) == [0, 1]


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ('"train_cfg.max_iters": 9', "train_cfg.max_iters"),
        ('"model.model.backbone.depth": 34', "model.model.backbone.depth"),
        ('"model.model": {"backbone": {"depth": 34}}', "model.model.backbone.depth"),
        ('"optim_wrapper": {"optimizer": {"lr": 1}}', "optim_wrapper.optimizer.lr"),
        ('"config": "nyud_seg_fp_small"', "config"),
        ('"model.model.decode_head.loss_decode.loss_weight": 2', "loss_weight"),
    ],
)
def test_a_closed_suite_changes_binarizers_and_losses_alone(tmp_path, change, key):
    text = ROOMS.replace('none={"model.partner": "none"}', f"none={{{change}}}")
    assert text != ROOMS
    read_suite(write_suite(tmp_path, text))
    with pytest.raises(ConfigError) as error:
        read_suite(write_suite(tmp_path, text + 'division = "closed"\n'))
    assert "loss=none changes '" in str(error.value)
    assert f"{key}', and in a closed suite" in str(error.value)


def test_a_closed_suite_may_change_all_of_binarizer_and_loss(tmp_path):
    text = (
        NEEDS
        + """
axes["method"] = dict(
    a={"model.model.backbone.method": "bnn", "model.model.decode_head.method": "bnn"},
    b={"model.model.backbone": {"method": {"name": "dorefa", "bits": 1}}},
)
axes["loss"]["kd"] = {
    "model.loss": "nce", "model.queue": 4, "model.added_losses": "logit_distillation",
    "model.teacher": "{twin}", "needs": {"other": {"train_cfg.max_iters": 9}},
}
division = "closed"
"""
    )
    assert len(read_suite(write_suite(tmp_path, text)).axes) == 2


def test_a_run_of_another_device_is_another_run(plan):
    here = {run.key for run in plan(ROOMS + 'device = "cpu"\n')}
    there = plan(ROOMS + 'device = "cuda"\n')
    assert {run.device for run in there} == {"cuda"}
    assert not here & {run.key for run in there}
    # What is said nothing of is this machine's.
    if not torch.cuda.is_available():
        assert {run.key for run in plan()} == here
    with pytest.raises(ConfigError, match="device 'gpu'; choose from cpu, cuda"):
        plan(ROOMS + 'device = "gpu"\n')


def test_one_teacher_may_serve_all_seeds(plan):
    runs = plan(NEEDS.replace('twin={"', 'twin={"seed": 7, "'))
    assert [run.seed for run in runs if "needed" in run.labels] == [7]


def test_a_part_is_chosen_with_what_it_needs(plan):
    runs = plan(NEEDS)
    chosen = select(runs, ["loss=teacher", "seed=1"])
    assert [list(run.labels.values()) for run in chosen] == [["twin"], ["teacher"]]
    assert select(runs, []) == runs
    with pytest.raises(ConfigError, match="the values of loss are none, teacher"):
        select(runs, ["loss=cmim"])
    with pytest.raises(ConfigError, match="the axes are loss, needed, seed"):
        select(runs, ["losses=none"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("steps = 0", "steps must be at least 1, got 0"),
        ("steps = 'all'", "steps='all' is of another kind"),
        ("seed = [1]", "unknown 'seed'; it has config, axes, seeds"),
        ("seeds = []", "seeds must be whole numbers from 0 on"),
        ("seeds = [1, 1]", "a seed is there twice"),
        ("seeds = [-1]", "seeds must be whole numbers from 0 on, got [-1]"),
        (
            "axes = dict(loss=dict())",
            "axes['loss'] must be a dictionary with something",
        ),
        ("axes = dict(loss=dict(a='none'))", "is a dictionary of overrides"),
        ("division = 'secret'", "division 'secret'; choose from closed, open"),
        ("baseline = dict(loss='kd')", "baseline loss='kd' is no value of an axis (no"),
    ],
)
def test_a_wrong_file_is_refused_in_a_sentence(tmp_path, text, said):
    with pytest.raises(ConfigError) as error:
        read_suite(write_suite(tmp_path, f"config = 'rooms_seg_bireal'\n{text}\n"))
    assert said in str(error.value)
    assert "small.py" in str(error.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model.teacher": "{other}"}, "needs a run that is not described; needs has"),
        ({"model.modle.x": 1}, "loss=a"),
        ({"config": "no_such"}, "config 'no_such' does not exist"),
    ],
)
def test_a_wrong_value_is_said_with_its_run(plan, change, said):
    text = f"config = 'rooms_seg_bireal'\naxes = dict(loss=dict(a={change!r}))\n"
    with pytest.raises(ConfigError) as error:
        plan(text)
    assert said in str(error.value)
    assert "small" in str(error.value)


SAME = """
config = "rooms_seg_bireal"
axes = dict(loss=dict(a={"model.partner": "none"}, b={"model.partner": "none"}))
"""


def test_two_rows_that_are_one_run_are_refused(plan):
    with pytest.raises(ConfigError, match="b, seed 0 and a, seed 0 are the same run"):
        plan(SAME)


def test_a_needed_run_that_is_a_row_is_that_row(plan):
    twin = '{"model.partner": "none", "model.model.backbone.method": "fp"}'
    runs = plan(NEEDS.replace("loss=dict(", f"loss=dict(twin={twin},", 1))
    assert not [run for run in runs if "needed" in run.labels]
    assert [run.labels["loss"] for run in runs].count("twin") == 2


@pytest.mark.parametrize(
    ("name", "more"),
    [("a.pth", ""), ("weights.json", ""), ("weights.npy", ""), ("weights", ""),
     ("net.py", ":Net")],
)  # fmt: skip
def test_another_file_under_the_same_name_is_another_run(plan, tmp_path, name, more):
    file = tmp_path / name
    file.write_bytes(b"1")

    def keys(path=file, more=more):
        return {
            run.key
            for run in plan(**{"model.model.backbone.init_from": f"{path}{more}"})
        }

    before = keys()
    assert keys() == before
    # Where the file lies does not count, which class of it is meant does.
    assert keys(file.rename(tmp_path / f"moved_{name}")) == before
    if more:
        assert not before & keys(tmp_path / f"moved_{name}", ":Other")
    file.write_bytes(b"2")
    assert not before & keys()


def test_files_of_the_data_have_one_digest_wherever_one_works(
    plan, data, tmp_path, monkeypatch
):
    option = {"train_dataloader.dataset.ann_file": "train.txt"}
    before = {run.key for run in plan(**option)}
    monkeypatch.chdir(data)
    assert {run.key for run in plan(**option)} == before


def test_folders_and_texts_that_can_be_no_names_are_no_files(plan):
    option = "model.model.backbone.init_from"
    texts = (".", "x" * 5000, "a\0b")
    keys = [run.key for text in texts for run in plan(**{option: text})]
    assert len(set(keys)) == 3 * 8


def test_missing_data_are_said(plan, tmp_path):
    with pytest.raises(ConfigError, match="is not there or empty; say where"):
        plan(data_root=str(tmp_path / "none"))


@pytest.mark.full
@pytest.mark.parametrize("path", sorted(suites_folder().glob("*.py")), ids=str)
def test_the_projects_suites_can_be_planned(path, data):
    suite = read_suite(path)
    assert plan_suite(suite, {"data_root": str(data)})
