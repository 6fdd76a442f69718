"""Command lines with a fault each: one sentence that names the culprit."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from fault_run import CONFIG, assert_said, options, run

# {place}: a folder with text.pth, text.xml, bad.jpg, empty.png and file, all useless.
# Tool, words, what the sentence holds. CK is a checkpoint, OPTIONS its config's.
CASES = [
    ("test", "{config} nowhere.pth OPTIONS", "'nowhere.pth'|does not exist"),
    ("test", "{config} {place} OPTIONS", "{place}"),
    ("test", "{config} {place}/text.pth OPTIONS", "text.pth"),
    ("test", "{config} CK --json {place} OPTIONS", "--json|{place}|a folder"),
    ("test", "{config} CK --json {place}/file/a.json OPTIONS", "--json|file' is no f"),
    ("test", "{config} CK --json /dev/null OPTIONS", "--json|/dev/null"),
    (
        "test",
        "{config} CK --save-predictions {place}/file OPTIONS",
        "{place}|no folder",
    ),
    ("test", "{config} CK --cfg-options foo", "--cfg-options|'foo'|NAME=VALUE"),
    ("test", "{config} CK --cfg-options =5", "--cfg-options|'=5'|NAME=VALUE"),
    ("test", "{config} CK --cfg-options a..b=5", "'a..b=5'|NAME=VALUE"),
    ("test", "{config} CK --cfg-options a=(1", "brackets|'a=(1'"),
    ("test", "{config} --cfg-options a=1 CK", "last.pth|in front of --cfg-options"),
    ("test", "", "config, checkpoint"),
    ("test", "{config} CK --no-such", "--no-such"),
    ("test", "configs/rooms_depth_bireal.py CK", "last.pth|another model"),
    ("predict", "{config} CK {place}/bad.jpg OPTIONS", "bad.jpg|decoded"),
    ("predict", "{config} CK {place}/empty.png OPTIONS", "empty.png|is empty"),
    ("predict", "{config} CK nowhere.png OPTIONS", "'nowhere.png' does not exist"),
    ("predict", "{config} CK {place} OPTIONS", "{place}"),
    ("predict", "{config} CK x.png --out {place}/file OPTIONS", "--out|no folder"),
    ("predict", "{config} CK OPTIONS", "images"),
    ("summary", "{config} --size 0 0", "--size|'0'|at least 1"),
    ("summary", "{config} --size x 5", "--size|'x'"),
    ("summary", "{config} --size 5", "--size|2 arguments"),
    ("summary", "{config} --json {place}", "--json|{place}"),
    ("summary", "{config} --cfg-options model=None", "needs 'model'"),
    ("methods", "foo", "'foo'|bireal"),
    ("methods", "bireal+foo --no-picture", "addition 'foo'|unbalanced"),
    ("methods", "bireal --picture {place}", "--picture|.png, .pdf or .svg"),
    ("methods", "bireal --picture a.xyz", "--picture|'a.xyz'|.png"),
    ("methods", "bireal --picture {place}/file/a.png", "--picture|no folder"),
    ("bench", "", "what"),
    ("bench", "foo", "'foo'|step"),
    ("bench", "step", "config"),
    ("bench", "step {config} --steps 0", "--steps|'0'"),
    ("bench", "step {config} --threads 0", "--threads|'0'"),
    ("bench", "step {config} --methods foo", "method 'foo'|bireal"),
    ("bench", "step {config} --cfg-options train_dataloader=None", "train_dataloader"),
    ("bench", "layer --methods foo", "method 'foo'"),
    ("bench", "layer --stage 7", "--stage|7"),
    ("bench", "layer --batch 0", "--batch|'0'"),
    ("bench", "layer --channels -3", "--channels|'-3'"),
    ("bench", "loss --batch 0", "--batch|'0'"),
    ("bench", "loss --sizes 0", "--sizes|'0'"),
    ("bench", "loss --config nowhere.py", "'nowhere.py' does not exist"),
    ("bench", "estimators --samples 1 --repeats 1", "repeats is 1"),
    ("bench", "estimators --out {place}/file", "--out|no folder"),
    ("bench", "bounds --dim 0", "--dim|'0'"),
    ("bench", "bounds --seed -1", "--seed|'-1'"),
    ("bench", "latency {config} nowhere.pth", "'nowhere.pth'|does not exist"),
    ("bench", "latency {config} --images 3", "CHECKPOINT"),
    ("bench", "latency {config} --threads 0", "--threads|'0'"),
    ("export", "{config} CK --out a.foo OPTIONS", "a.foo|.npz or .onnx or .xml"),
    ("export", "{config} CK --out a OPTIONS", "--out a|.npz"),
    ("export", "{config} CK --out {place} OPTIONS", "--out|a folder"),
    ("export", "{config} CK --out {place}/file/a.xml OPTIONS", "--out|no folder"),
    ("export", "{config} CK --out a.xml --format npz OPTIONS", "a.xml|--format npz"),
    ("export", "{config} CK --out a.npz --rest int8 OPTIONS", "--rest int8|.xml"),
    ("export", "{config} CK --out a.npz --size 0 4 OPTIONS", "--size|'0'"),
    ("export", "{config} CK --out a.npz --size -4 4 OPTIONS", "--size|'-4'"),
    ("export", "{config} CK --out a.npz --batch 0 OPTIONS", "--batch|'0'"),
    ("export", "{config} CK --out a.npz --sample {place} OPTIONS", "--sample|a folder"),
    ("export", "{config} CK OPTIONS", "--out"),
    ("export", "{config} nowhere.pth --out a.npz OPTIONS", "'nowhere.pth'"),
    ("export", "{config} a.xml --out b.npz OPTIONS", "'a.xml' is exported already"),
    ("export", "{config} CK --out CK OPTIONS", "last.pth|overwritten"),
    ("analyze", "{config} CK CK OPTIONS", "--labels"),
    ("analyze", "{config} CK --labels a b --no-tsne OPTIONS", "2 labels for 1"),
    ("analyze", "{config} CK --images 0 OPTIONS", "--images|'0'"),
    ("analyze", "{config} CK --images 2 --no-tsne OPTIONS", "2 test images|--images 4"),
    ("analyze", "{config} CK --teacher no.pth --no-tsne OPTIONS", "'no.pth'"),
    ("analyze", "{config} CK --out {place}/file OPTIONS", "--out|no folder"),
    ("check_data", "nowhere.py", "'nowhere.py' does not exist"),
    ("check_data", "{config}", "train_dataloader|NYUv2Dataset"),
    ("compare_tasks", "nowhere {place}", "nowhere"),
    ("compare_tasks", "{place} nowhere --time-steps 0", "--time-steps|'0'"),
    ("prepare_nyud", "--mat no.mat --out {place}/n", "classMapping40.mat"),
    ("prepare_nyud", "--verify --out {place}/n", "{place}/n"),
    ("prepare_nyud", "--verify --out {place}/file", "--out|no folder"),
    ("prepare_cifar10", "nowhere.zip {place}/c", "'nowhere.zip' does not exist"),
    ("prepare_cifar10", "{place}/file {place}/c", "{place}/file|zip"),
    ("make_rooms", "--out {place}/r --frames 0", "--frames|'0'"),
    ("make_rooms", "--out {place}/r --frames 3", "3 frames"),
    ("make_rooms", "--out {place}/r --frames 9 --size -1 1", "--size|'-1'"),
    ("make_rooms", "--out {place}/r --frames 9 --size 1 1", "(1, 1)|16 x 16"),
    ("make_rooms", "--out {place}/r --seed -1", "--seed|'-1'"),
    ("make_rooms", "--out {place}/file --frames 9", "--out|no folder"),
    ("demo", "--steps 0", "--steps|'0'"),
    ("demo", "--data {place}/file", "--data|no folder"),
    ("train", "{config} --resume --overwrite OPTIONS", "--overwrite|--resume"),
    ("train", "{config} --seed x OPTIONS", "--seed|'x'"),
    ("train", "{config} --seed 4294967296 OPTIONS", "--seed|4294967295"),
    ("train", "{config} --amp int8 OPTIONS", "--amp|'int8'|auto"),
    ("train", "{config} --record-flips 0 OPTIONS", "--record-flips|'0'"),
    ("train", "{config} --launcher foo OPTIONS", "--launcher|'foo'"),
    ("train", "{config} --work-dir {place}/file OPTIONS", "--work-dir|no folder"),
]
QUICK = {"summary", "methods", "make_rooms", "train", "demo", "prepare_cifar10"}


@pytest.fixture(scope="module")
def checkpoint(rooms, tmp_path_factory) -> Path:
    """Two steps of training."""
    folder = tmp_path_factory.mktemp("run")
    done = run("train", CONFIG, "--work-dir", folder, *options(data_root=rooms))
    assert done.status == 0, done
    return folder / "last.pth"


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    for name in ("text.pth", "text.xml", "bad.jpg", "file"):
        (tmp_path / name).write_text("no")
    (tmp_path / "empty.png").write_bytes(b"")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def said(tool: str, words: str, expected: str, place: Path, rooms, checkpoint) -> None:
    given: list[str] = []
    for word in words.split():
        if word == "OPTIONS":
            given += options(data_root=rooms)
        else:
            given.append(str(checkpoint) if word == "CK" else word)
    given = [word.format(config=CONFIG, place=place) for word in given]
    outcome = run(tool, *given)
    assert_said(outcome, *expected.format(place=place).split("|"))


@pytest.mark.parametrize(
    ("tool", "words", "expected"), [c for c in CASES if c[0] in QUICK and "CK" not in c]
)
def test_a_tool_says_what_is_wrong(tool, words, expected, place, rooms):
    said(tool, words, expected, place, rooms, "last.pth")


def test_a_tool_with_a_checkpoint_says_what_is_wrong(place, rooms, checkpoint):
    for tool in ("test", "predict", "export"):
        case = next(c for c in CASES if c[0] == tool and "nowhere" in c[1])
        said(*case, place, rooms, checkpoint)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("tool", "words", "expected"), [c for c in CASES if c[0] not in QUICK]
)
def test_other_tools_say_what_is_wrong(tool, words, expected, place, rooms, checkpoint):
    pytest.importorskip("openvino")
    said(tool, words, expected, place, rooms, checkpoint)
