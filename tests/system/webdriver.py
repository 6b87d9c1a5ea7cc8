# SPDX-License-Identifier: MIT
"""A browser for tests: headless Chromium by chromedriver, which speaks the W3C's WebDriver protocol over HTTP."""

import base64
import contextlib
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # the key that the protocol gives references to elements
TOOLS = ("chromium", "chromedriver")


def missing():
    """What is not installed."""
    return [tool for tool in TOOLS if not shutil.which(tool)]


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


class Browser:
    """Use as a context manager."""

    def __init__(self, width=1280, height=900):
        self.profile = tempfile.TemporaryDirectory(prefix="umbra-browser-", ignore_cleanup_errors=True)
        self.base = f"http://127.0.0.1:{free_port()}"
        self.driver = subprocess.Popen([shutil.which("chromedriver"), f"--port={self.base.rsplit(':', 1)[1]}"],
                                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                       stderr=subprocess.DEVNULL)
        # Nothing is opened but our own page; as root Chromium's sandbox does not start.
        words = ["--headless=new", f"--window-size={width},{height}", "--disable-gpu", "--disable-dev-shm-usage",
                 f"--user-data-dir={self.profile.name}", "--no-first-run"] + \
            (["--no-sandbox"] if os.geteuid() == 0 else [])
        options = {"binary": shutil.which("chromium"), "args": words}
        self.session = ""
        try:
            self._wait_ready()
            self.session = "/session/" + self._send("POST", "/session", {
                "capabilities": {"alwaysMatch": {"goog:chromeOptions": options}}})["sessionId"]
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        if self.session:
            with contextlib.suppress(OSError):
                self._send("DELETE", self.session)
        self.driver.terminate()
        self.driver.wait()
        self.profile.cleanup()

    def _send(self, method, path, body=None):
        request = urllib.request.Request(self.base + path, method=method, data=None if body is None else
                                         json.dumps(body).encode(), headers={"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=180) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as err:
            raise RuntimeError(json.load(err)["value"]["message"].split("\n")[0]) from None

    def _wait_ready(self):
        end = time.monotonic() + 60
        while True:
            try:
                if self._send("GET", "/status")["ready"]:
                    return
            except OSError:
                if time.monotonic() > end:
                    raise
            time.sleep(0.1)

    def open(self, url):
        self._send("POST", self.session + "/url", {"url": url})

    def run(self, script, *arguments):
        return self._send("POST", self.session + "/execute/sync", {"script": script, "args": list(arguments)})

    def wait(self, script, limit=60):
        """Until the expression is true; its value, or the last one."""
        end = time.monotonic() + limit
        while True:
            value = self.run("return " + script)
            if value or time.monotonic() > end:
                return value
            time.sleep(0.1)

    def find(self, selector):
        return self._send("POST", self.session + "/element", {"using": "css selector", "value": selector})[ELEMENT]

    def click(self, selector):
        self._send("POST", f"{self.session}/element/{self.find(selector)}/click", {})

    def _actions(self, *sources):
        self._send("POST", self.session + "/actions", {"actions": list(sources)})
        self._send("DELETE", self.session + "/actions")

    def pointer(self, x, y, kind="mouse", hold_ms=50):
        """Press and release at a place of the window."""
        self._actions({"type": "pointer", "id": kind, "parameters": {"pointerType": kind}, "actions": [
            {"type": "pointerMove", "x": x, "y": y, "duration": 0}, {"type": "pointerDown", "button": 0},
            {"type": "pause", "duration": hold_ms}, {"type": "pointerUp", "button": 0}]})

    def type(self, text):
        keys = [{"type": what, "value": key} for key in text for what in ("keyDown", "keyUp")]
        self._actions({"type": "key", "id": "keyboard", "actions": keys})

    def screenshot(self, path):
        with open(path, "wb") as file:
            file.write(base64.b64decode(self._send("GET", self.session + "/screenshot")))
