"""Which versions bear the aliases of a model, and whether Modelyard gave them or a person did.

Each alias that Modelyard gives is noted in a tag of the registered model, so that one that was
moved in MLflow's web page is known by the difference, also after a restart. Where MLflow is a
server this talks to its REST interface, without importing MLflow (0.2 s and 200 MB).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from pydantic import BaseModel, ConfigDict, JsonValue

from modelyard.errors import TrackingError, UsageError
from modelyard.settings import Settings

if TYPE_CHECKING:
    import httpx

NOTE = "modelyard.alias."
PATIENCE = 60.0
FIRST_WAIT, LONGEST_WAIT = 0.2, 5.0
CALL_SECONDS = 10.0
ROOT = "/api/2.0/mlflow"
API = f"{ROOT}/registered-models"
GONE = "RESOURCE_DOES_NOT_EXIST"


@dataclass(frozen=True, slots=True)
class Aliases:
    """The aliases of one model: who bears them, and whom Modelyard gave them to."""

    bearers: Mapping[str, int] = field(default_factory=dict)
    noted: Mapping[str, int] = field(default_factory=dict)


class _Named(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")
    alias: str
    version: int


class _Tag(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")
    key: str
    value: str = ""


class _Model(BaseModel):
    """What MLflow says of a registered model, as far as it matters here."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    aliases: tuple[_Named, ...] = ()
    tags: tuple[_Tag, ...] = ()


def is_server(settings: Settings) -> bool:
    """Whether MLflow is reached over HTTP."""
    return settings.tracking_uri.startswith(("http://", "https://"))


def read(settings: Settings, model: str, patience: float = PATIENCE) -> Aliases | None:
    """Return a model's aliases; None if it is not registered.

    Raises:
        TrackingError: MLflow cannot be reached for so many seconds, or refuses.
    """
    if not is_server(settings):
        return _read_here(settings, model)
    with Rest(settings, patience) as rest:
        answer = rest.call("GET", "/get", {"name": model}, missing=True)
    if answer is None:
        return None
    found = _Model.model_validate(answer["registered_model"])
    return Aliases(
        {one.alias: one.version for one in found.aliases},
        noted({tag.key: tag.value for tag in found.tags}),
    )


def point(
    settings: Settings, model: str, alias: str, version: int | None, patience: float = PATIENCE
) -> None:
    """Give an alias to a version and note it; None takes both away.

    Raises:
        UsageError: there is no such version.
        TrackingError: MLflow cannot be reached for so many seconds, or refuses.
    """
    if not is_server(settings):
        from modelyard.tracking import registry

        registry.set_alias(settings, model, alias, version)
        return
    # The note comes last: without it, the alias is where the database wants it, and that is enough.
    with Rest(settings, patience) as rest:
        named: dict[str, JsonValue] = {"name": model}
        key = f"{NOTE}{alias}"
        if version is None:
            rest.call("DELETE", "/alias", {**named, "alias": alias}, missing=True)
            rest.call("DELETE", "/delete-tag", {**named, "key": key}, missing=True)
            return
        text = str(version)
        given = {**named, "alias": alias, "version": text}
        if rest.call("POST", "/alias", given, missing=True) is None:
            message = f"{model} has no version {version}"
            raise UsageError(message, hint=f"see: modelyard models show {model}")
        rest.call("POST", "/set-tag", {**named, "key": key, "value": text})


def note(settings: Settings, model: str, alias: str, version: int | None) -> None:
    """Note whom an alias belongs to without moving it; None takes the note away."""
    key = f"{NOTE}{alias}"
    if not is_server(settings):
        _note_here(settings, model, key, version)
        return
    with Rest(settings, PATIENCE) as rest:
        tag: dict[str, JsonValue] = {"name": model, "key": key}
        if version is None:
            rest.call("DELETE", "/delete-tag", tag, missing=True)
        else:
            rest.call("POST", "/set-tag", {**tag, "value": str(version)})


def noted(tags: Mapping[str, str]) -> dict[str, int]:
    """Read the notes out of a registered model's tags."""
    return {
        key.removeprefix(NOTE): int(value)
        for key, value in tags.items()
        if key.startswith(NOTE) and value.isdigit()
    }


def _read_here(settings: Settings, model: str) -> Aliases | None:
    from modelyard.tracking.client import call, connect, found, is_new

    if is_new(settings):
        return None
    client = connect(settings)
    stored = call("read aliases", lambda: found(lambda: client.get_registered_model(model)))
    if stored is None:
        return None
    bearers = {alias: int(number) for alias, number in stored.aliases.items()}
    return Aliases(bearers, noted(stored.tags))


def _note_here(settings: Settings, model: str, key: str, version: int | None) -> None:
    from modelyard.tracking.client import call, connect, found

    client = connect(settings)
    if version is None:
        call(
            "forget an alias",
            lambda: found(lambda: client.delete_registered_model_tag(model, key)),
        )
    else:
        call(
            "note an alias",
            lambda: client.set_registered_model_tag(model, key, str(version)),
        )


class Rest:
    """MLflow's REST interface, asked again while it is away."""

    def __init__(self, settings: Settings, patience: float, api: str = API) -> None:
        import httpx

        self._api = api
        self._url = settings.tracking_uri
        self._limit = time.monotonic() + patience
        user = os.environ.get("MLFLOW_TRACKING_USERNAME")
        token = os.environ.get("MLFLOW_TRACKING_TOKEN")
        self._http = httpx.Client(
            base_url=self._url,
            timeout=CALL_SECONDS,
            trust_env=False,
            auth=(user, os.environ.get("MLFLOW_TRACKING_PASSWORD", "")) if user else None,
            headers={"authorization": f"Bearer {token}"} if token and not user else None,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def call(
        self, method: str, path: str, values: Mapping[str, JsonValue], *, missing: bool = False
    ) -> dict[str, JsonValue] | None:
        """Return MLflow's answer; None for what does not exist, if that may be."""
        answer = self._patiently(lambda: self._send(method, path, values))
        if answer.is_success:
            return dict(answer.json())
        try:
            told = answer.json()
            code, text = told.get("error_code"), str(told.get("message", ""))
        except (ValueError, AttributeError):
            code, text = None, answer.text
        if missing and code == GONE:
            return None
        message = f"MLflow refused: {answer.status_code} {' '.join(text.split())[:300]}"
        raise TrackingError(message)

    def _send(self, method: str, path: str, values: Mapping[str, JsonValue]) -> httpx.Response:
        if method == "GET":
            return self._http.get(
                f"{self._api}{path}", params={k: str(v) for k, v in values.items()}
            )
        return self._http.request(method, f"{self._api}{path}", json=dict(values))

    def _patiently(self, send: Callable[[], httpx.Response]) -> httpx.Response:
        import httpx

        wait = FIRST_WAIT
        cause: httpx.HTTPError | None
        while True:
            try:
                answer = send()
            except httpx.HTTPError as error:
                problem, cause = str(error) or type(error).__name__, error
            else:
                if answer.status_code < httpx.codes.INTERNAL_SERVER_ERROR:
                    return answer
                problem, cause = f"{answer.status_code} {answer.text[:200]}", None
            if time.monotonic() + wait > self._limit:
                message = f"MLflow cannot be reached at {self._url}: {problem}"
                raise TrackingError(message, hint="is it running? make status") from cause
            time.sleep(wait)
            wait = min(2 * wait, LONGEST_WAIT)
