"""Whether a service does its work: asked over HTTP, not read from a process table."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

ASK_SECONDS = 3.0
NOT_YET = "not ready yet"


class Check(Protocol):
    """Answers what keeps a service from being healthy, or None if nothing does."""

    def __call__(self, since: float) -> str | None:
        """Ask about a service that was started at the Unix time `since`."""
        ...


@dataclass(frozen=True, slots=True)
class HttpCheck:
    """Healthy when a URL answers 200."""

    url: str
    token_file: Path | None = None
    """What is in it is shown as a bearer's token."""

    def __call__(self, since: float) -> str | None:  # noqa: ARG002 - the protocol's
        """Ask the URL."""
        answer = _get(self.url, self.token_file)
        return answer if isinstance(answer, str) else None


@dataclass(frozen=True, slots=True)
class AirflowCheck:
    """Healthy when Airflow saw a heartbeat of the component since it was started."""

    url: str
    component: str

    def __call__(self, since: float) -> str | None:
        """Ask the api-server, which is the one to know."""
        answer = _get(self.url)
        if isinstance(answer, str):
            return answer
        try:
            seen = json.loads(answer).get(self.component) or {}
        except (ValueError, AttributeError):
            return f"{self.url} is not Airflow's"  # somebody else took the port meanwhile
        beat = seen.get(f"latest_{self.component}_heartbeat")
        if beat is None or datetime.fromisoformat(beat).timestamp() < since:
            return "no heartbeat yet"
        return None if seen.get("status") == "healthy" else f"status {seen.get('status')}"


@dataclass(frozen=True, slots=True)
class FileCheck:
    """Healthy when the service wrote `{"problem": null}` since it was started."""

    file: Path

    def __call__(self, since: float) -> str | None:
        """Read the file."""
        try:
            if self.file.stat().st_mtime < since:
                return NOT_YET
            problem = json.loads(self.file.read_text(encoding="utf-8"))["problem"]
        except FileNotFoundError:
            return NOT_YET
        return None if problem is None else str(problem)


def _get(url: str, token_file: Path | None = None) -> bytes | str:
    """Return the body, or say why there is none."""
    import httpx

    try:
        token = None if token_file is None else token_file.read_text(encoding="utf-8").strip()
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        answer = httpx.get(url, timeout=ASK_SECONDS, headers=headers, trust_env=False)
    except OSError as error:
        return f"the token for {url} cannot be read: {error.strerror}"
    except httpx.HTTPError as error:
        return f"{url} does not answer: {error or type(error).__name__}"
    if answer.status_code != httpx.codes.OK:
        return f"{url} answers {answer.status_code}"
    return answer.content
