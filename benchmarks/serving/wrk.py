"""The load generator: wrk, which is written in C and takes next to nothing of the two cores."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

PACKAGES = ("wrk", "libluajit-5.1-2", "libluajit-5.1-common")
SCRIPT = Path(__file__).with_name("wrk.lua")


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent: where to, and the file that holds the body."""

    url: str
    body: Path
    content_type: str = "application/json"


@dataclass(frozen=True, slots=True)
class Measured:
    """What one run of the load generator saw."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    failed: int

    @property
    def rate(self) -> float:
        """Good answers a second."""
        return (self.requests - self.failed) / self.seconds


@dataclass(frozen=True, slots=True)
class Wrk:
    """An installed wrk, and the folder of its libraries."""

    program: str
    libraries: Path | None = None

    def run(self, request: Request, concurrency: int, seconds: float) -> Measured:
        """Keep so many connections busy for a while; wrk counts in whole seconds."""
        environment = {
            **os.environ,
            "WRK_BODY": str(request.body),
            "WRK_TYPE": request.content_type,
            **({} if self.libraries is None else {"LD_LIBRARY_PATH": str(self.libraries)}),
        }
        options = ["-t1", f"-c{concurrency}", f"-d{max(1, round(seconds))}s", "--timeout", "30s"]
        done = subprocess.run(
            [self.program, *options, "-s", str(SCRIPT), request.url],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            message = f"wrk failed at {request.url}:\n{done.stdout}{done.stderr}"
            raise RuntimeError(message)
        return Measured(**json.loads(done.stdout.strip().splitlines()[-1]))


def find_wrk(cache: Path) -> Wrk:
    """Return the wrk of this machine, or unpack Debian's into the cache; nothing is installed."""
    if found := shutil.which("wrk"):
        return Wrk(found)
    folder = cache / "wrk"
    if not (folder / "usr" / "bin" / "wrk").exists():
        folder.mkdir(parents=True, exist_ok=True)
        apt, dpkg = str(shutil.which("apt-get")), str(shutil.which("dpkg"))
        subprocess.run(
            [apt, "download", *PACKAGES],
            cwd=folder,
            check=True,
            stderr=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        for package in folder.glob("*.deb"):
            subprocess.run([dpkg, "-x", package, folder], check=True)
    [library] = (folder / "usr" / "lib").glob("*/libluajit-5.1.so.2")
    return Wrk(str(folder / "usr" / "bin" / "wrk"), library.parent)
