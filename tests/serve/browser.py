"""A headless Chromium, told what to do over its debugging pipe; needs no driver and no port."""

from __future__ import annotations

import base64
import json
import os
import queue
import shutil
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
_PATIENCE_S = 60.0
# The pipe's ends are expected as descriptors 3 and 4.
_LAUNCH = 'exec "$@" 3<&0 4>&1 </dev/null >/dev/null 2>&1'
_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--remote-debugging-pipe",
    "--no-first-run",
    "--disable-background-networking",
    "--autoplay-policy=no-user-gesture-required",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
)


class Browser:
    """One browser process.

    Args:
        profile: an empty folder.
        flags: further ones.
    """

    def __init__(self, profile: Path, *flags: str) -> None:
        assert PROGRAM is not None
        command = ["sh", "-c", _LAUNCH, "sh", PROGRAM, *_FLAGS, f"--user-data-dir={profile}", *flags, "about:blank"]
        environment = {**os.environ, "HOME": str(profile)}
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
        self._answers: queue.Queue[dict[str, Any]] = queue.Queue()
        self._number = 0
        self.events: list[dict[str, Any]] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def tell(self, method: str, session: str = "", **params: Any) -> dict[str, Any]:
        """Send a command and return its result; events that come before it are kept."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        pipe = self._process.stdin
        assert pipe is not None
        pipe.write(json.dumps({**message, "sessionId": session} if session else message).encode() + b"\0")
        pipe.flush()
        while True:
            answer = self._answers.get(timeout=_PATIENCE_S)
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return dict(answer["result"])
            self.events.append(answer)

    def open(self, url: str, width: int = 1100, height: int = 900, dark: bool = False) -> Page:
        """Open a page in a new tab and wait until it is loaded."""
        target = self.tell("Target.createTarget", url="about:blank")["targetId"]
        session = self.tell("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = Page(self, session)
        for domain in ("Page", "Runtime", "Log", "DOM"):
            page.tell(f"{domain}.enable")
        page.tell(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        page.tell("Emulation.setEmulatedMedia", features=[scheme])
        page.tell("Emulation.setFocusEmulationEnabled", enabled=True)
        page.tell("Page.navigate", url=url)
        page.wait("document.readyState === 'complete' && location.href !== 'about:blank'")
        return page

    def close(self) -> None:
        """End the process."""
        self.tell("Browser.close")
        self._process.wait(_PATIENCE_S)
        self._reader.join()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()

    def _read(self) -> None:
        pipe = self._process.stdout
        assert pipe is not None
        held = b""
        while chunk := os.read(pipe.fileno(), 1 << 16):
            *whole, held = (held + chunk).split(b"\0")
            for message in whole:
                self._answers.put(json.loads(message))


class Page:
    """One tab."""

    def __init__(self, browser: Browser, session: str) -> None:
        self._browser = browser
        self._session = session

    def tell(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command to this tab."""
        return self._browser.tell(method, self._session, **params)

    def run(self, expression: str) -> Any:
        """Return the value of a JavaScript expression; a promise is waited for."""
        done = self.tell("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in done, done
        return done["result"].get("value")

    def wait(self, expression: str) -> None:
        """Wait until an expression is true."""
        end_s = time.monotonic() + _PATIENCE_S
        while not self.run(expression):
            assert time.monotonic() < end_s, f"never true: {expression}; the page says: {self.text('main')!r}"
            time.sleep(0.05)

    def text(self, selector: str) -> str:
        """Return what an element shows."""
        return str(self.run(f"document.querySelector({json.dumps(selector)})?.innerText ?? ''"))

    def press(self, key: str) -> None:
        """Press a key and let it go."""
        common = {"key": key, "code": key, "windowsVirtualKeyCode": {"Enter": 13, "ArrowRight": 39, "End": 35}[key]}
        down = {"type": "keyDown", "text": "\r"} if key == "Enter" else {"type": "rawKeyDown"}
        self.tell("Input.dispatchKeyEvent", **down, **common)
        self.tell("Input.dispatchKeyEvent", type="keyUp", **common)

    def click(self, selector: str) -> None:
        """Click in the middle of an element."""
        self.run(f"document.querySelector({json.dumps(selector)}).scrollIntoView({{block: 'center'}})")
        box = self.run(f"document.querySelector({json.dumps(selector)}).getBoundingClientRect().toJSON()")
        place = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        for kind in ("mousePressed", "mouseReleased"):
            self.tell("Input.dispatchMouseEvent", type=kind, x=place[0], y=place[1], button="left", clickCount=1)

    def choose(self, selector: str, path: Path) -> None:
        """Give a file to a file input, as if chosen by hand."""
        root = self.tell("DOM.getDocument")["root"]["nodeId"]
        node = self.tell("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.tell("DOM.setFileInputFiles", files=[str(path)], nodeId=node)

    def drop(self, path: Path) -> None:
        """Drop a file into the window."""
        data = {"items": [], "files": [str(path)], "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", "drop"):
            self.tell("Input.dispatchDragEvent", type=kind, x=200, y=200, data=data)

    def complaints(self) -> list[dict[str, Any]]:
        """Return the errors of scripts, of loading and of the content security policy in this tab so far."""
        kinds = ("Runtime.exceptionThrown", "Log.entryAdded")
        self.run("1")  # so that what came before it is here
        return [e for e in self._browser.events if e.get("sessionId") == self._session and e["method"] in kinds]

    def screenshot(self, path: Path) -> None:
        """Write what is seen, the whole page, as PNG."""
        size = self.tell("Page.getLayoutMetrics")["cssContentSize"]
        clip = {**size, "scale": 1}
        done = self.tell("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
        path.write_bytes(base64.b64decode(done["data"]))
