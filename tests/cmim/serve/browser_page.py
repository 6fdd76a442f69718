"""What a visitor does on the page, and sees there, by selenium."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


def opened(browser: Any, address: str, width: int = 1200, theme: str = "light") -> None:
    metrics = dict(width=width, height=900, deviceScaleFactor=1, mobile=False)
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    features = [dict(name="prefers-color-scheme", value=theme)]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", dict(features=features))
    browser.get_log("performance")
    browser.get_log("browser")
    browser.get(address)
    wait(browser, "document.querySelectorAll('#networks input').length === 2")


def wait(browser: Any, script: str) -> None:
    """Until an expression of JavaScript is true."""
    from selenium.webdriver.support.wait import WebDriverWait

    WebDriverWait(browser, 20, 0.05).until(
        lambda _: browser.execute_script(f"return {script};"), script
    )


def give(browser: Any, path: Path) -> None:
    """Choose a picture in the file dialogue that Enter opens, which no driver sees."""
    from selenium.webdriver.common.by import By

    browser.find_element(By.ID, "file").send_keys(str(path))


def press(browser: Any, *keys: str) -> None:
    from selenium.webdriver import ActionChains

    ActionChains(browser).send_keys(*keys).perform()


def leap(browser: Any, key: str) -> None:
    """Press a key with Shift."""
    from selenium.webdriver import ActionChains, Keys

    actions = ActionChains(browser).key_down(Keys.SHIFT).send_keys(key)
    actions.key_up(Keys.SHIFT).perform()


def tab_to(browser: Any, script: str) -> None:
    """Press the tabulator until the element that has the focus is the wanted one."""
    from selenium.webdriver import Keys

    for _ in range(40):
        press(browser, Keys.TAB)
        if browser.execute_script(
            f"const e = document.activeElement; return {script};"
        ):
            return
    raise AssertionError(f"the tabulator does not lead to {script}")


def text(browser: Any, selector: str) -> str:
    script = f"return document.querySelector({json.dumps(selector)}).textContent;"
    return browser.execute_script(script)


def tips(browser: Any) -> list[str]:
    return browser.execute_script(
        "return [...document.querySelectorAll('.tip')].map(e => e.textContent);"
    )


def answered(browser: Any) -> None:
    """Until both networks have answered."""
    facts = "[...document.querySelectorAll('.facts')]"
    wait(browser, f"{facts}.every(each => each.textContent.includes('ms'))")


def keep(browser: Any, name: str) -> None:
    """Write a picture of the whole page, where somebody wants to look at it."""
    folder = os.environ.get("CMIM_SCREENSHOTS")
    if folder:
        height = browser.execute_script("return document.documentElement.scrollHeight;")
        width = browser.execute_script("return innerWidth;")
        metrics = dict(width=width, height=height, deviceScaleFactor=1, mobile=False)
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        browser.save_screenshot(str(Path(folder) / f"{name}.png"))


def asked(browser: Any) -> list[str]:
    """Addresses that the page has asked for."""
    events = [
        json.loads(e["message"])["message"] for e in browser.get_log("performance")
    ]
    return [
        event["params"]["request"]["url"]
        for event in events
        if event["method"] == "Network.requestWillBeSent"
    ]
