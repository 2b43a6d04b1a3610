"""The report as a browser shows it: every figure drawn, nothing asked of the network, nothing complained about.

Chromium is driven by its own protocol over a pipe, so no driver package is needed.
"""

import base64
import itertools
import json
import os
import re
import runpy
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sweeps.figures import figures
from sweeps.report import write_report

pytestmark = pytest.mark.browser
FAKE = runpy.run_path(str(Path(__file__).parents[1] / "sweeps" / "fake_results.py"))
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
         "--hide-scrollbars", "--remote-debugging-pipe")
COUNT_DRAWN = "[...document.querySelectorAll('.plot')].filter(plot => plot.querySelector('.main-svg .trace')).length"
BUTTON_TITLES = "[...document.querySelectorAll('.modebar-btn')].map(button => button.dataset.title).join()"


class Browser:
    """One chromium with one page. `events` holds everything it told since the page was opened."""

    def __init__(self, profile: Path) -> None:
        assert CHROMIUM, "chromium is not installed"
        to_browser, self._out = os.pipe()
        self._in, from_browser = os.pipe()
        command = [CHROMIUM, *FLAGS, f"--user-data-dir={profile}", "about:blank"]
        shell = f'exec 3<&{to_browser} 4>&{from_browser}; exec "$@"'  # the protocol lives on descriptors 3 and 4
        self._process = subprocess.Popen(["bash", "-c", shell, "chromium", *command], stdout=subprocess.DEVNULL,
                                         stderr=subprocess.DEVNULL, pass_fds=(to_browser, from_browser))
        os.close(to_browser)
        os.close(from_browser)
        self._numbers, self._buffer, self._session = itertools.count(1), b"", ""
        self.events: list[dict[str, Any]] = []
        target = next(each for each in self.call("Target.getTargets")["targetInfos"] if each["type"] == "page")
        self._session = self.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            chunk = os.read(self._in, 1 << 20)
            assert chunk, "chromium has gone"
            self._buffer += chunk
        message, self._buffer = self._buffer.split(b"\0", 1)
        found: dict[str, Any] = json.loads(message)
        return found

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """The result of one command of the protocol."""
        number = next(self._numbers)
        session = {"sessionId": self._session} if self._session else {}
        os.write(self._out, json.dumps({"id": number, "method": method, "params": params, **session}).encode() + b"\0")
        while True:
            message = self._read()
            if message.get("id") == number:
                assert "error" not in message, message
                result: dict[str, Any] = message["result"]
                return result
            self.events.append(message)

    def open(self, path: Path, width: int, *, scheme: str = "light") -> None:
        """Show a page at this width and wait until its scripts have run."""
        self.resize(width)
        self.call("Emulation.setEmulatedMedia", media="", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.events.clear()
        self.call("Page.navigate", url=path.as_uri())
        while self.value("document.readyState") != "complete" or self.value("location.href") == "about:blank":
            time.sleep(0.05)

    def value(self, expression: str) -> Any:
        return self.call("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def resize(self, width: int) -> None:
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)

    def until(self, claim: str) -> bool:
        """True once the claim holds in the page; False when it does not within twenty seconds."""
        for _ in range(200):
            if self.value(claim):
                return True
            time.sleep(0.1)
        return False

    def picture(self, path: Path) -> None:
        """The whole page as PNG."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        shot = self.call("Page.captureScreenshot", format="png", clip=clip, captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))

    def requests(self) -> list[str]:
        """Every address the page asked for, but the page itself and its own inline data."""
        asked = [event["params"]["request"]["url"] for event in self.events
                 if event.get("method") == "Network.requestWillBeSent"]
        return [url for url in asked if not url.startswith(("file:", "data:", "blob:"))]

    def complaints(self) -> list[str]:
        """Exceptions, console errors and warnings, and whatever the content policy refused."""
        return [json.dumps(event["params"]) for event in self.events if _complains(event)]

    def close(self) -> None:
        self.call("Browser.close")
        self._process.wait(30)
        os.close(self._in)
        os.close(self._out)


def _complains(event: dict[str, Any]) -> bool:
    method, params = event.get("method"), event.get("params", {})
    return (method == "Runtime.exceptionThrown"
            or (method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"))
            or (method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning")))


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    found = Browser(tmp_path_factory.mktemp("profile"))
    yield found
    found.close()


@pytest.mark.parametrize(("width", "scheme"), [(400, "light"), (1000, "light"), (1000, "dark"), (1600, "light")])
def test_a_full_page_draws_everything_quietly_at_every_width(
        browser: Browser, tmp_path: Path, width: int, scheme: str) -> None:
    results = FAKE["full"]()
    browser.open(write_report(results, tmp_path / "index.html"), width, scheme=scheme)
    assert browser.until(f"{COUNT_DRAWN} === {len(figures(results))}"), browser.value(COUNT_DRAWN)
    assert browser.requests() == []
    assert browser.complaints() == []
    assert browser.value("document.documentElement.scrollWidth") <= width, "the page itself never scrolls sideways"
    assert not re.search("cloud|share|send", browser.value(BUTTON_TITLES).lower()), "no button gives a chart away"


@pytest.mark.parametrize("name", sorted(FAKE["poor"]()))
def test_a_poor_answer_still_makes_a_quiet_page(browser: Browser, tmp_path: Path, name: str) -> None:
    results = FAKE["poor"]()[name]
    browser.open(write_report(results, tmp_path / "index.html"), 400)
    assert browser.until(f"{COUNT_DRAWN} === {len(figures(results))}"), browser.value(COUNT_DRAWN)
    assert (browser.requests(), browser.complaints()) == ([], [])
    assert browser.value("document.documentElement.scrollWidth") <= 400


def test_charts_follow_the_width_of_the_window(browser: Browser, tmp_path: Path) -> None:
    browser.open(write_report(FAKE["full"](), tmp_path / "index.html"), 400)
    browser.resize(1200)
    wide = "document.querySelector('#risk .main-svg').getBoundingClientRect().width"
    assert browser.until(f"{wide} > 1000"), browser.value(wide)
    assert browser.complaints() == []


def test_a_legend_entry_shows_and_hides_its_capacity(browser: Browser, tmp_path: Path) -> None:
    browser.open(write_report(FAKE["full"](), tmp_path / "index.html"), 1000)
    visible = "document.querySelector('#risk').data.filter(trace => trace.visible === false).length"
    button = "document.querySelector('#risk').closest('figure').querySelector('.legend button')"
    browser.value(f"{button}.click()")
    assert browser.until(f"{visible} === 6"), "band, line, hull, rungs and both stars"
    assert browser.value(f"{button}.getAttribute('aria-pressed')") == "false"
    browser.value(f"{button}.click()")
    assert browser.until(f"{visible} === 0")


def test_a_page_that_did_ask_the_network_would_be_caught(browser: Browser, tmp_path: Path) -> None:
    path = write_report(FAKE["full"](), tmp_path / "index.html")
    image = '<img src="http://127.0.0.1:9/x.png">'
    path.write_text(path.read_text(encoding="utf-8").replace("<main>", f"<main>{image}"), encoding="utf-8")
    browser.open(path, 1000)
    assert browser.complaints(), "the content policy refuses it"
    path.write_text(path.read_text(encoding="utf-8").replace("Content-Security-Policy", "x"), encoding="utf-8")
    browser.open(path, 1000)
    assert browser.requests() == ["http://127.0.0.1:9/x.png"]


def test_hostile_names_are_text_and_never_elements(browser: Browser, tmp_path: Path) -> None:
    browser.events.clear()
    browser.open(write_report(FAKE["poor"]()["hostile"], tmp_path / "index.html"), 1000)
    assert browser.value("document.querySelectorAll('img').length") == 0
    assert browser.value("document.querySelectorAll('script:not([type])').length") == 2
    assert browser.value("document.querySelector('h1').textContent") == FAKE["EVIL"]
    assert "<script>aler…mple/x.png>" in browser.value("document.querySelector('#risk').textContent")


def test_the_page_prints(browser: Browser, tmp_path: Path) -> None:
    browser.open(write_report(FAKE["full"](), tmp_path / "index.html"), 1000)
    printed = base64.b64decode(browser.call("Page.printToPDF", preferCSSPageSize=True)["data"])
    assert printed.startswith(b"%PDF")
    assert browser.complaints() == []
