"""Send many recordings at once to `asr-ligru serve`, and see that each is answered or refused in so many words.

    python tools/load_serve.py MODEL FOLDER [--n 200] [--repeat 1] [--server="--queue 32 --jobs 1"]

FOLDER is searched for .wav, .flac and .sph files. The server runs as a process of its own. All
connections are open before the first byte is sent. Printed are the answers by status, the largest memory of the server
before and after, and how long it took. The exit code is the number of uploads that got no answer, an answer that
is not JSON, or another text than a quiet server gives, at most 100.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

SUFFIXES = {".wav", ".flac", ".sph"}
PATIENCE_S = 600


def peak_mb(pid: int) -> float:
    """Return the most memory a process has held, from Linux's /proc."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) / 1024


def open_temporaries(pid: int) -> int:
    """Return how many files without a name a process holds open."""
    links = [os.readlink(path) for path in Path(f"/proc/{pid}/fd").iterdir() if path.is_symlink()]
    return sum("(deleted)" in link and "/#" in link for link in links)


def upload(port: int, path: Path, barrier: threading.Barrier | None = None) -> tuple[int, str, str]:
    """Return status, text and reason; status 0 is a connection that broke."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    try:
        connection.connect()
        if barrier:
            barrier.wait()
        connection.request("POST", f"/api/transcribe?name={quote(path.name)}", path.read_bytes())
        response = connection.getresponse()
        answer = json.loads(response.read())
        return response.status, answer.get("transcript", {}).get("text", ""), answer.get("error", "")
    except (OSError, http.client.HTTPException, ValueError) as error:
        return 0, "", f"{type(error).__name__}: {error}"
    finally:
        connection.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--n", type=int, default=200)
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--server", default="", help="its options")
    options = parser.parse_args()
    paths = sorted(path for path in options.folder.rglob("*") if path.suffix in SUFFIXES)
    paths = [paths[i % len(paths)] for i in range(options.n)]
    command = [
        sys.executable,
        "-m",
        "asr_ligru",
        "serve",
        str(options.model),
        "--port",
        "0",
        *shlex.split(options.server),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, encoding="utf-8") as process:
        assert process.stdout is not None
        match = re.search(r":(\d+)/", process.stdout.readline())
        assert match, "the server did not start"
        port = int(match[1])
        alone = {path: upload(port, path)[1] for path in dict.fromkeys(paths)}
        print(f"{len(alone)} files one by one: peak {peak_mb(process.pid):.0f} MB", flush=True)
        lost = sum(crowd(process.pid, port, paths, alone) for _ in range(options.repeat))
        started_s = time.monotonic()
        process.send_signal(signal.SIGINT)
        code = process.wait(60)
        print(f"ended with {code} {time.monotonic() - started_s:.1f} s after SIGINT")
    return min(lost + (code != 130), 100)


def crowd(pid: int, port: int, paths: list[Path], alone: dict[Path, str]) -> int:
    """Send all at once, print what came of it, and return how many were lost."""
    barrier = threading.Barrier(len(paths))
    started_s = time.monotonic()
    with ThreadPoolExecutor(len(paths)) as pool:
        answers = list(pool.map(lambda path: upload(port, path, barrier), paths))
    took_s = time.monotonic() - started_s
    statuses = Counter(status for status, _, _ in answers)
    reasons = Counter(re.sub(r"\d+", "N", error) for _, _, error in answers if error)
    others = sum(s == 200 and text != alone[path] for path, (s, text, _) in zip(paths, answers, strict=True))
    print(f"{len(paths)} at once: {dict(sorted(statuses.items()))} in {took_s:.1f} s, {others} with another text")
    for reason, count in reasons.most_common(5):
        print(f"  {count:4} {reason}")
    print(f"  peak {peak_mb(pid):.0f} MB, {open_temporaries(pid)} temporary files open")
    return statuses[0] + others


if __name__ == "__main__":
    sys.exit(main())
