"""The page in a browser: by keyboard, at two widths, without an error.

Needs Chromium, its driver, selenium and the extra ``serve``. ``CMIM_SCREENSHOTS`` names
a folder that pictures of the page are written into.
"""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from browser_page import (
    answered,
    asked,
    give,
    keep,
    leap,
    opened,
    press,
    tab_to,
    text,
    tips,
    wait,
)
from running_server import running_server

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
MISSING = [
    name
    for name, there in (
        ("Chromium (Debian: apt install chromium)", CHROMIUM),
        ("chromedriver (Debian: apt install chromium-driver)", DRIVER),
        ("selenium (pip install selenium)", importlib.util.find_spec("selenium")),
        ("fastapi (pip install 'cmim[serve]')", importlib.util.find_spec("fastapi")),
    )
    if not there
]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(MISSING), reason=f"needs {', '.join(MISSING)}"),
]
WIDTHS = pytest.mark.parametrize("width", [390, 1200])


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with running_server() as (address, _):
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    camera = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
    for word in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", *camera):
        options.add_argument(word)
    logged = {"browser": "ALL", "performance": "ALL"}
    options.set_capability("goog:loggingPrefs", logged)
    driver = webdriver.Chrome(options=options, service=Service(str(DRIVER)))
    driver.set_script_timeout(20)
    yield driver
    driver.quit()


@pytest.fixture
def picture(tmp_path) -> Path:
    """Dark on the left, light on the right."""
    pixels = np.full((480, 640, 3), 30, np.uint8)
    pixels[:, 256:] = 220
    cv2.imwrite(str(tmp_path / "room.jpg"), pixels)
    return tmp_path / "room.jpg"


@WIDTHS
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_picture_is_answered_and_everything_fits(
    browser, address, picture, width, theme
):
    opened(browser, address, width, theme)
    give(browser, picture)
    answered(browser)
    assert text(browser, "[data-network='1 bit']") == "2.5 ms, 2 MB"
    assert text(browser, "[data-network='full precision']") == "40 ms, 2 MB"
    assert text(browser, ".legend") == "light 60 %dark 40 %"
    assert text(browser, "#status") == "full precision: 40 ms."
    loaded = "return [...document.images].map(each => each.naturalWidth);"
    assert browser.execute_script(loaded) == [640, 160, 640, 160]
    assert (
        browser.execute_script("return document.documentElement.scrollWidth") <= width
    )
    outside = browser.execute_script(
        "return [...document.querySelectorAll('body *:not(.visually-hidden)')]"
        ".filter(e => e.getBoundingClientRect().right > innerWidth + 1)"
        ".map(e => e.outerHTML);"
    )
    assert outside == []
    small = browser.execute_script(
        "return [...document.querySelectorAll('button, .button, #networks label')]"
        ".filter(e => e.offsetParent && e.getBoundingClientRect().height < 40)"
        ".map(e => e.outerHTML);"
    )
    assert small == [], "too small for a finger"
    keep(browser, f"page_{width}_{theme}")
    requests = {
        each for each in asked(browser) if not each.startswith(("data:", "blob:"))
    }
    assert all(each.startswith(address) for each in requests)
    assert browser.get_log("browser") == []


def test_the_keyboard_reaches_everything(browser, address, picture):
    from selenium.webdriver import Keys

    opened(browser, address)
    tab_to(browser, "e.id === 'file'")
    ring = "getComputedStyle(document.querySelector('label.button')).outlineStyle"
    assert browser.execute_script(f"return {ring};") == "solid"
    give(browser, picture)
    answered(browser)
    tab_to(browser, "e.value === 'full precision'")
    press(browser, Keys.ARROW_DOWN)
    wait(browser, "document.querySelector('#status').textContent === '1 bit: 2.5 ms.'")
    tab_to(browser, "e.id === 'opacity'")
    press(browser, Keys.HOME)
    opacity = "return document.querySelector('.colours').style.opacity;"
    assert browser.execute_script(opacity) == "0"
    tab_to(browser, "e.dataset.task === 'seg'")
    assert tips(browser) == ["light", "0.60 m"]
    leap(browser, Keys.ARROW_LEFT)
    press(browser, Keys.ARROW_LEFT)
    wait(browser, "document.querySelector('#spoken').textContent === 'Classes: dark'")
    assert text(browser, ".legend .here") == "dark 40 %"
    tab_to(browser, "e.dataset.task === 'depth'")
    for _ in range(9):
        leap(browser, Keys.ARROW_UP)
    wait(browser, "document.querySelector('#spoken').textContent === 'Depth: unknown'")
    assert browser.get_log("browser") == []


def test_the_pointer_names_what_is_under_it(browser, address, picture):
    from selenium.webdriver import ActionChains
    from selenium.webdriver.common.by import By

    opened(browser, address)
    give(browser, picture)
    answered(browser)
    stage = browser.find_element(By.CSS_SELECTOR, "[data-task='depth']")
    # Offsets count from the middle of what is to be seen.
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'});", stage)
    width, height = stage.size["width"], stage.size["height"]
    for x, y, brightness, metres in (
        (-0.4, -0.25, "dark", 0.3),
        (0.4, 0.25, "light", 0.9),
    ):
        place = (round(x * width), round(y * height))
        ActionChains(browser).move_to_element_with_offset(stage, *place).perform()
        first, second = tips(browser)
        assert first == brightness
        # The driver points at whole pixels.
        assert abs(float(second.removesuffix(" m")) - metres) < 0.025


def test_refusals_are_read_out_and_the_page_goes_on(
    browser, address, picture, tmp_path
):
    opened(browser, address)
    for name, content, said in (
        ("a.gif", b"GIF89a", "This is image/gif; give a JPEG, PNG or WebP picture."),
        ("a.png", bytes(17_000_000), "The picture has 17.0 MB; up to 16 MB are taken."),
        ("b.png", b"\x89PNG", "The picture is damaged; get it again."),
    ):
        (tmp_path / name).write_bytes(content)
        give(browser, tmp_path / name)
        wait(browser, f"document.querySelector('#error').textContent === '{said}'")
    # A refused request is an entry of the console, too; nothing else is.
    entries = [each["message"] for each in browser.get_log("browser")]
    assert all("api/predict" in each and "422" in each for each in entries)
    give(browser, picture)
    answered(browser)
    assert text(browser, "#error") == ""


def test_pasted_and_dropped_pictures_are_taken(browser, address):
    give_by = """
    const done = arguments[arguments.length - 1];
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [8, 6];
    canvas.getContext("2d").fillRect(0, 0, 8, 6);
    canvas.toBlob(blob => {
      const data = new DataTransfer();
      data.items.add(new File([blob], "a.png", {type: "image/png"}));
      const event = arguments[0] === "paste"
        ? new ClipboardEvent("paste", {clipboardData: data})
        : new DragEvent("drop", {dataTransfer: data, cancelable: true});
      document.dispatchEvent(event);
      done();
    });
    """
    for way in ("paste", "drop"):
        opened(browser, address)
        browser.execute_async_script(give_by, way)
        answered(browser)
        assert text(browser, ".legend") == "dark 100 %"
    browser.execute_script(
        "document.dispatchEvent(new ClipboardEvent('paste',"
        " {clipboardData: new DataTransfer()}));"
    )
    assert text(browser, "#error").startswith("There is no picture in what was given")


def test_the_camera_takes_a_picture_by_keyboard(browser, address):
    from selenium.webdriver import Keys

    opened(browser, address)
    tab_to(browser, "e.id === 'camera'")
    press(browser, Keys.ENTER)
    wait(browser, "document.activeElement.id === 'take'")
    wait(browser, "document.querySelector('#video').videoWidth > 0")
    press(browser, Keys.ENTER)
    answered(browser)
    assert (
        browser.execute_script("return document.querySelector('#video').srcObject")
        is None
    )
    assert browser.get_log("browser") == []
