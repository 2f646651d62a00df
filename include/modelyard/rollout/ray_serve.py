"""Ray Serve over its REST API: one application a variant, and one endpoint that routes to them.

A PUT carries the whole configuration. Serve leaves an application alone whose part of it is
unchanged; a change of the route table reaches the endpoint's `reconfigure` without a restart.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Mapping, Sequence
from ssl import SSLContext
from typing import Any, Self

import httpx
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from modelyard.errors import ServingError
from modelyard.rollout.routes import INGRESS_APP, ModelTraffic, app_name, route_table
from modelyard.settings import Settings
from modelyard.store.records import Variant

type Config = dict[str, Any]
type Replicas = Mapping[tuple[str, int], int]

APPLICATIONS = "/api/serve/applications/"
POLL_SECONDS = 0.1
START_SECONDS = 300.0
START_RETRIES = 1
OWN_ERROR = re.compile(r"^modelyard\.errors\.\w+: ")
log = logging.getLogger(__name__)


def serve_config(
    variants: Sequence[Variant],
    settings: Settings,
    replicas: Replicas | None = None,
    traffic: Mapping[str, ModelTraffic] | None = None,
) -> Config:
    """Write Serve's configuration for these variants; the same variants give the same one.

    Args:
        variants: What is served.
        settings: Where, and by how many endpoints.
        replicas: Processes of a variant; 1 where it says nothing.
        traffic: Model to what holds for all its requests.
    """
    table = route_table(variants, traffic)
    return {
        # The endpoint listens itself, so that a request does not go through one process more.
        "proxy_location": "Disabled",
        "logging_config": {"enable_access_log": False, "log_level": "WARNING"},
        "applications": [
            *(_variant_app(variant, replicas or {}) for variant in _in_order(variants)),
            {
                "name": INGRESS_APP,
                "route_prefix": None,
                "import_path": "serving.ingress:build",
                "args": {
                    "host": settings.bind_host,
                    "port": settings.bind_port,
                },
                "deployments": [
                    _deployment(
                        "Ingress",
                        num_replicas=settings.endpoint_processes,
                        user_config=table.model_dump(mode="json"),
                    )
                ],
            },
        ],
    }


def _in_order(variants: Sequence[Variant]) -> list[Variant]:
    return sorted(variants, key=lambda variant: (variant.model, variant.version))


def _variant_app(variant: Variant, replicas: Replicas) -> Config:
    return {
        "name": app_name(variant.model, variant.version),
        "route_prefix": None,
        "import_path": "serving.variant:build",
        "args": {"model": variant.model, "version": variant.version},
        "deployments": [
            _deployment("Variant", num_replicas=replicas.get((variant.model, variant.version), 1))
        ],
    }


def _deployment(name: str, **options: object) -> Config:
    # They take no CPU of Ray's count, so that trainings fit beside them on a small machine. A model
    # that cannot be loaded will not load at the twentieth try either, which is Serve's default.
    return {
        "name": name,
        "ray_actor_options": {"num_cpus": 0},
        "max_constructor_retry_count": START_RETRIES,
        **options,
    }


class DeploymentStatus(BaseModel):
    """What Serve says of a part of an application."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    message: str = Field(default="", description="Serve's words, often a traceback.")


class AppStatus(DeploymentStatus):
    """What Serve says of one application."""

    status: str = Field(description="RUNNING, DEPLOYING, DEPLOY_FAILED, UNHEALTHY, DELETING.")
    deployments: dict[str, DeploymentStatus] = Field(
        default_factory=dict, description="Its parts by name."
    )

    deployed_app_config: dict[str, JsonValue] | None = Field(
        default=None, description="What Serve was asked for."
    )

    @property
    def replicas(self) -> int | None:
        """How many processes were asked for, where a number was."""
        config = self.deployed_app_config or {}
        parts = config.get("deployments")
        for part in parts if isinstance(parts, list) else []:
            if isinstance(part, dict) and isinstance(count := part.get("num_replicas"), int):
                return count
        return None

    @property
    def reason(self) -> str:
        """What was raised: the last line of the innermost message, which ends a traceback."""
        messages = (self.message, *(part.message for part in self.deployments.values()))
        lines = [line.strip() for text in messages for line in text.splitlines() if line.strip()]
        return OWN_ERROR.sub("", lines[-1]) if lines else self.status


class ServeClient:
    """Talks to Ray's dashboard; raises ServingError if it cannot."""

    def __init__(
        self, url: str, *, timeout: float = 60.0, headers: Mapping[str, str] | None = None
    ) -> None:
        self.url = url
        # The cluster is on this machine or in this network: an HTTP proxy has no part in it.
        self._http = httpx.Client(base_url=url, timeout=timeout, headers=headers, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def put(self, config: Config) -> None:
        """Ask Serve to become like this; it goes on in the background."""
        self._request("PUT", json=config)

    def statuses(self) -> dict[str, AppStatus]:
        """Return every application by name."""
        applications = self._request("GET").json().get("applications") or {}
        return {name: AppStatus.model_validate(found) for name, found in applications.items()}

    def shut_down(self) -> None:
        """Stop Serve gracefully: requests in flight are answered and logs written first."""
        self._request("DELETE")

    def _request(self, method: str, json: Config | None = None) -> httpx.Response:
        try:
            response = self._http.request(method, APPLICATIONS, json=json)
        except httpx.HTTPError as error:
            message = f"Ray's dashboard does not answer at {self.url}"
            raise ServingError(message, hint="start it with: make up") from error
        if response.is_error:
            message = f"Ray Serve refused: {response.status_code} {response.text.strip()[-500:]}"
            raise ServingError(message, hint="see make logs for Ray Serve's log")
        return response

    def wait_running(
        self,
        apps: Sequence[str],
        *,
        timeout: float = START_SECONDS,
        progress: Callable[[str], None] = log.info,
    ) -> None:
        """Wait until these applications run.

        Raises:
            NotStarted: one failed, or the time is over.
        """
        begun = time.monotonic()
        seen: dict[str, str] = {}
        while True:
            statuses = self.statuses()
            elapsed = time.monotonic() - begun
            for app in apps:
                status = statuses.get(app, AppStatus(status="NOT_STARTED"))
                if seen.get(app) != status.status:
                    seen[app] = status.status
                    progress(f"{app}: {status.status.lower().replace('_', ' ')} ({elapsed:.1f} s)")
                if status.status == "DEPLOY_FAILED":
                    log.debug("%s", status.message)
                    raise NotStarted(app, status.reason)
            if all(seen[app] == "RUNNING" for app in apps):
                return
            if elapsed > timeout:
                late = next(app for app in apps if seen[app] != "RUNNING")
                raise NotStarted(late, f"still {seen[late]} after {timeout:.0f} s")
            time.sleep(POLL_SECONDS)


class NotStarted(ServingError):  # noqa: N818 - reads as what happened
    """An application did not start."""

    def __init__(self, app: str, reason: str) -> None:
        super().__init__(f"{app} did not start: {reason}", hint="see make logs for its log")
        self.app = app


class Endpoint:
    """Asks the endpoint itself, which is what counts."""

    def __init__(self, url: str, *, verify: SSLContext | bool = True) -> None:
        self.url = url
        self._http = httpx.Client(base_url=url, timeout=5.0, verify=verify, trust_env=False)

    def revision(self) -> str | None:
        """The route table that it routes by now, or None if it does not answer."""
        try:
            response = self._http.get("/health")
            found = response.json().get("revision")
        except (httpx.HTTPError, ValueError, AttributeError):
            return None
        return found if isinstance(found, str) else None

    def wait_revision(self, wanted: Callable[[], str], *, timeout: float = 60.0) -> None:
        """Wait until it routes by the table that is wanted, which may change meanwhile.

        Raises:
            ServingError: it does not in time.
        """
        deadline = time.monotonic() + timeout
        while (found := self.revision()) != wanted():
            if time.monotonic() > deadline:
                state = "does not answer" if found is None else "still routes by an older table"
                message = f"the endpoint {self.url} {state} after {timeout:.0f} s"
                raise ServingError(message, hint="is its port taken? see make status")
            time.sleep(POLL_SECONDS / 2)
        self._http.close()
