"""The report in a browser: no request, no error, keyboard alone, a narrow screen.

Needs Chromium, its driver and the package selenium.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from report_cases import RECORDS, record

from cmim.suite.report import write_report
from tasks.pictures import write_image

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
MISSING = [
    name
    for name, there in (
        ("Chromium (Debian: apt install chromium)", CHROMIUM),
        ("chromedriver (Debian: apt install chromium-driver)", DRIVER),
        ("selenium (pip install selenium)", importlib.util.find_spec("selenium")),
    )
    if not there
]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(MISSING), reason=f"needs {', '.join(MISSING)}"),
]


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> str:
    """A report with everything that it can show, as the address of its file."""
    folder = tmp_path_factory.mktemp("page")
    write_report([everything(each, folder) for each in RECORDS], folder / "report")
    return (folder / "report" / "index.html").as_uri()


def everything(found: dict, folder: Path) -> dict:
    """A record with classes, examples, latency and corrupted pictures as well."""
    if found["status"] == "failed":
        return found
    method, miou = found["labels"]["method"], found["test"]["mIoU"]
    ms = {"none": 10.5, "kd": 9.5}[found["labels"]["loss"]]
    timed = dict(ms=ms, spread_ms=[9.0, 11.0], clock="cpu", threads=1)
    kinds = {k: {"1": {"mIoU": miou - 1}} for k in ("fog", "jpeg_compression")}
    return dict(
        record(method, found["labels"]["loss"], found["seed"], miou),
        network=dict(encoder="BinaryResNet", depth=18, method=method),
        robustness=dict(images=3, clean={"mIoU": miou}, kinds=kinds),
        latency=timed if method != "fp" else dict(note="not measured"),
        test={
            "mIoU": miou,
            "per_class": {f"class {k}": {"iou": miou + k} for k in range(40)},
        },
        examples=examples(folder),
        path=str(folder / f"{found['key']}.json"),
    )


def examples(folder: Path) -> list[dict]:
    import numpy as np
    import torch
    from mmengine.structures import PixelData
    from mmseg.structures import SegDataSample

    from cmim.suite.examples import ExampleWriter

    if not (folder / "a.png").is_file():
        write_image(folder / "a.png", np.full((480, 640, 3), 90, np.uint8))
    sample = SegDataSample(metainfo=dict(img_path=str(folder / "a.png")))
    classes = torch.arange(40).repeat_interleave(16).expand(1, 480, 640).contiguous()
    sample.set_data(
        {n: PixelData(data=classes) for n in ("gt_sem_seg", "pred_sem_seg")}
    )
    writer = ExampleWriter(2)
    for _ in range(4):
        writer(sample)
    return writer.write(folder)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for word in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage"):
        options.add_argument(word)
    options.set_capability(
        "goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"}
    )
    driver = webdriver.Chrome(options=options, service=Service(str(DRIVER)))
    yield driver
    driver.quit()


def opened(browser: Any, address: str, width: int = 1200) -> None:
    """Open a page on a screen of a width in pixels."""
    metrics = dict(width=width, height=900, deviceScaleFactor=1, mobile=False)
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.get_log("performance")
    browser.get_log("browser")
    browser.get(address)


def requests(browser: Any) -> list[str]:
    """Addresses that the page has asked for since it was opened."""
    events = [
        json.loads(e["message"])["message"] for e in browser.get_log("performance")
    ]
    return [
        event["params"]["request"]["url"]
        for event in events
        if event["method"] == "Network.requestWillBeSent"
    ]


def unfold(browser: Any) -> None:
    browser.execute_script(
        "document.querySelectorAll('details').forEach(each => { each.open = true; });"
    )


def press(browser: Any, *keys: str) -> None:
    from selenium.webdriver import ActionChains

    ActionChains(browser).send_keys(*keys).perform()


def tab_to(browser: Any, script: str) -> None:
    """Press the tabulator until the element that has the focus is the wanted one."""
    from selenium.webdriver import Keys

    for _ in range(60):
        press(browser, Keys.TAB)
        if browser.execute_script(
            f"const e = document.activeElement; return {script};"
        ):
            return
    raise AssertionError(f"the tabulator does not lead to {script}")


def shown(browser: Any) -> list[str]:
    """Method, loss and mIoU of the rows that are to be seen, in their order."""
    return browser.execute_script(
        "return [...document.querySelectorAll('.runs tbody tr')]"
        ".filter(row => row.offsetParent !== null)"
        ".map(row => [0, 1, 3].map(k => row.children[k].textContent).join(' '));"
    )


def test_it_asks_for_nothing_and_has_no_error(browser, page):
    opened(browser, page)
    unfold(browser)
    asked = [each for each in requests(browser) if not each.startswith("data:")]
    assert asked == [page]
    assert browser.get_log("browser") == []
    assert browser.execute_script("return document.compatMode") == "CSS1Compat"
    loaded = "return [...document.images].map(each => each.naturalWidth);"
    assert browser.execute_script(loaded) == [192] * 10


def test_requests_and_errors_would_be_seen(browser, tmp_path):
    (tmp_path / "bad.html").write_text("<img src='missing.png'><script>x()</script>")
    opened(browser, (tmp_path / "bad.html").as_uri())
    assert any(each.endswith("missing.png") for each in requests(browser))
    assert any("x is not defined" in e["message"] for e in browser.get_log("browser"))


def test_rows_are_sorted_by_keyboard(browser, page):
    from selenium.webdriver import Keys

    opened(browser, page)
    before = ["bireal none 6 ± 1", "bireal kd 7.5 ± 1", "fp none 9"]
    assert shown(browser) == before
    tab_to(browser, "e.tagName === 'BUTTON' && e.textContent === 'mIoU'")
    press(browser, Keys.ENTER)
    assert shown(browser) == [before[2], before[1], before[0]]
    order = "return document.activeElement.closest('th').getAttribute('aria-sort');"
    assert browser.execute_script(order) == "descending"
    press(browser, Keys.SPACE)
    assert shown(browser) == before
    assert browser.execute_script(order) == "ascending"


def test_rows_without_a_figure_are_last_in_either_order(browser, page):
    from selenium.webdriver import Keys

    opened(browser, page)
    none, kd, full = shown(browser)
    tab_to(browser, "e.tagName === 'BUTTON' && e.textContent === 'ms'")
    # As numbers: 10.5 is more than 9.5.
    press(browser, Keys.ENTER)
    assert shown(browser) == [none, kd, full]
    press(browser, Keys.ENTER)
    assert shown(browser) == [kd, none, full]


def test_rows_are_filtered_by_keyboard(browser, page):
    from selenium.webdriver import Keys

    opened(browser, page)
    tab_to(browser, "e.id === 'filter'")
    press(browser, "KD")
    assert shown(browser) == ["bireal kd 7.5 ± 1"]
    press(browser, Keys.BACKSPACE, Keys.BACKSPACE)
    assert len(shown(browser)) == 3
    # Words of a row's config are not its labels.
    press(browser, "partner")
    assert shown(browser) == []


def test_folded_parts_open_by_keyboard(browser, page):
    from selenium.webdriver import Keys

    opened(browser, page)
    tab_to(browser, "e.textContent.startsWith('IoU of each class')")
    press(browser, Keys.ENTER)
    opens = "return document.activeElement.parentNode.open;"
    assert browser.execute_script(opens) is True


@pytest.mark.parametrize("width", [360, 1200])
def test_it_fits_the_screen(browser, page, width):
    opened(browser, page, width)
    unfold(browser)
    wide = browser.execute_script("return document.documentElement.scrollWidth;")
    assert wide <= width
    # Whatever is wider is in a part that scrolls, and that the keyboard reaches.
    outside = browser.execute_script(
        "return [...document.querySelectorAll('body *')]"
        ".filter(e => e.getBoundingClientRect().right > innerWidth + 1"
        " && !e.closest('.scroll[tabindex=\"0\"], pre')).map(e => e.outerHTML);"
    )
    assert outside == []
    smallest = browser.execute_script(
        "const size = e => parseFloat(getComputedStyle(e).fontSize);"
        "const all = document.querySelectorAll('td, th, p, li, pre, summary');"
        "return Math.min(...[...all].map(size));"
    )
    assert smallest >= 12
    # Text of drawings shrinks with them.
    text = browser.execute_script(
        "const height = e => e.getBoundingClientRect().height;"
        "return Math.min(...[...document.querySelectorAll('svg text')].map(height));"
    )
    assert text >= 10
