"""Airflow's REST interface: the calls that its web page makes too."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import TracebackType
from typing import TYPE_CHECKING, Self

from pydantic import BaseModel, ConfigDict, JsonValue

from modelyard.errors import StackError
from modelyard.stack.keys import ADMIN

if TYPE_CHECKING:
    import httpx

CALL_SECONDS = 30.0
POLL_SECONDS = 0.5
LOST_SECONDS = 90.0
"""How long the api-server may be away, since the supervisor starts it again."""
BUSY_SECONDS = 30.0
DATABASE_ERROR = "Database error"


class RunState(StrEnum):
    """What Airflow says of a DAG run."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCESS = "success"
    FAILED = "failed"

    @property
    def over(self) -> bool:
        """Whether it will not change any more."""
        return self in {RunState.SUCCESS, RunState.FAILED}


class Task(BaseModel):
    """One task of a DAG run."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    task_id: str
    map_index: int = -1
    state: str | None = None
    try_number: int = 0
    duration: float | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """A DAG run at one moment."""

    state: RunState
    tasks: tuple[Task, ...]


class AirflowApi:
    """One user's session with the api-server; logs in when first needed, and again if told to."""

    def __init__(self, url: str, password: str, user: str = ADMIN) -> None:
        import httpx

        self._user = user
        self._password = password
        self._client = httpx.Client(base_url=url, timeout=CALL_SECONDS, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._client.close()

    def set_pool(self, name: str, slots: int) -> None:
        """Make a pool, or leave it as somebody has set it."""
        body: JsonValue = {
            "name": name,
            "slots": slots,
            "description": "Trainings that may run at once.",
        }
        if not self._has(f"/pools/{name}"):
            self._call("POST", "/pools", body)

    def wait_for_dag(self, dag: str, seconds: float) -> None:
        """Wait until the DAG processor has read a DAG.

        Raises:
            StackError: it did not appear; tells which files could not be read.
        """
        deadline = time.monotonic() + seconds
        while not self._has(f"/dags/{dag}"):
            if time.monotonic() > deadline:
                message = f"Airflow does not know a DAG {dag} after {seconds:.0f} s"
                raise StackError(message, hint=self._import_errors())
            time.sleep(POLL_SECONDS)

    def unpause(self, dag: str) -> None:
        """Let a DAG run."""
        self._call("PATCH", f"/dags/{dag}", {"is_paused": False})

    def trigger(
        self,
        dag: str,
        conf: Mapping[str, JsonValue],
        note: str | None = None,
        run: str | None = None,
    ) -> str:
        """Start a DAG run as the web page does, and return its id; it may be given."""
        body: dict[str, JsonValue] = {"logical_date": None, "conf": dict(conf), "note": note}
        if run is not None:
            body["dag_run_id"] = run
        answer = self._call("POST", f"/dags/{dag}/dagRuns", body)
        return str(answer["dag_run_id"])

    def has_run(self, dag: str, run: str) -> bool:
        """Whether there is a DAG run of this id."""
        return self._has(f"/dags/{dag}/dagRuns/{run}")

    def end_run(self, dag: str, run: str) -> None:
        """Call a run done that still waits for somebody."""
        path = f"/dags/{dag}/dagRuns/{run}"
        if self.has_run(dag, run) and not RunState(str(self._call("GET", path)["state"])).over:
            self._call("PATCH", path, {"state": "success", "note": "decided elsewhere"})

    def progress(self, dag: str, run: str) -> Progress:
        """Ask how far a DAG run is."""
        path = f"/dags/{dag}/dagRuns/{run}"
        state = RunState(str(self._call("GET", path)["state"]))
        tasks = self._call("GET", f"{path}/taskInstances?limit=100")["task_instances"]
        return Progress(state, _tasks(tasks))

    def follow(self, dag: str, run: str, seconds: float) -> Iterator[Progress]:
        """Tell how far a DAG run is until it is over, through restarts of the api-server.

        Raises:
            StackError: it took longer, or the api-server stayed away.
        """
        deadline = time.monotonic() + seconds
        while True:
            progress = self._patient_progress(dag, run)
            yield progress
            if progress.state.over:
                return
            if time.monotonic() > deadline:
                message = f"run {run} of {dag} is not over after {seconds:.0f} s"
                raise StackError(message, hint="look at it in Airflow, and at: make logs")
            time.sleep(POLL_SECONDS)

    def _patient_progress(self, dag: str, run: str) -> Progress:
        deadline = time.monotonic() + LOST_SECONDS
        while True:
            try:
                return self.progress(dag, run)
            except StackError:
                if time.monotonic() > deadline:
                    raise
            time.sleep(2 * POLL_SECONDS)

    def result(self, dag: str, run: str, task: str) -> JsonValue:
        """Read what a task returned."""
        path = f"/dags/{dag}/dagRuns/{run}/taskInstances/{task}/xcomEntries/return_value"
        value = self._call("GET", f"{path}?stringify=false")["value"]
        return json.loads(value) if isinstance(value, str) else value

    def task_log(self, dag: str, run: str, task: Task) -> list[str]:
        """Read the log of a task's last try, one line an event."""
        path = f"/dags/{dag}/dagRuns/{run}/taskInstances/{task.task_id}/logs/{task.try_number}"
        options = f"?full_content=true&map_index={task.map_index}"
        content = self._call("GET", path + options).get("content")
        return [_line(event) for event in content] if isinstance(content, list) else []

    def _import_errors(self) -> str:
        errors = self._call("GET", "/importErrors").get("import_errors")
        if isinstance(errors, list) and errors:
            first = errors[0]
            return str(first.get("stack_trace", first) if isinstance(first, dict) else first)
        return "see make logs for the DAG processor's log"

    def _has(self, path: str) -> bool:
        import httpx

        answer = self._request("GET", f"/api/v2{path}")
        if answer.status_code == httpx.codes.NOT_FOUND:
            return False
        _refuse(answer)
        return True

    def _call(self, method: str, path: str, body: JsonValue = None) -> dict[str, JsonValue]:
        answer = self._request(method, f"/api/v2{path}", body)
        _refuse(answer)
        return dict(answer.json())

    def _request(self, method: str, path: str, body: JsonValue = None) -> httpx.Response:
        import httpx

        if "authorization" not in self._client.headers:
            self._log_in()
        answer = self._send_patiently(method, path, body)
        if answer.status_code == httpx.codes.UNAUTHORIZED:  # the token is older than a day
            self._log_in()
            answer = self._send(method, path, body)
        return answer

    def _send_patiently(self, method: str, path: str, body: JsonValue) -> httpx.Response:
        """Ask again where Airflow's database was locked by its scheduler, and nothing was done."""
        deadline = time.monotonic() + BUSY_SECONDS
        while True:
            answer = self._send(method, path, body)
            locked = answer.is_server_error and DATABASE_ERROR in answer.text
            if not locked or time.monotonic() > deadline:
                return answer
            time.sleep(POLL_SECONDS)

    def _log_in(self) -> None:
        self._client.headers.pop("authorization", None)
        body: JsonValue = {"username": self._user, "password": self._password}
        answer = self._send("POST", "/auth/token", body)
        _refuse(answer)
        self._client.headers["authorization"] = f"Bearer {answer.json()['access_token']}"

    def _send(self, method: str, path: str, body: JsonValue) -> httpx.Response:
        import httpx

        accept = {"accept": "application/json"}
        try:
            return self._client.request(method, path, json=body, headers=accept)
        except httpx.HTTPError as error:
            message = f"Airflow does not answer at {self._client.base_url}: {error or type(error).__name__}"
            raise StackError(message, hint="see make status") from error


def _tasks(answer: JsonValue) -> tuple[Task, ...]:
    rows = answer if isinstance(answer, Sequence) else ()
    return tuple(Task.model_validate(row) for row in rows)


def _line(event: JsonValue) -> str:
    if not isinstance(event, dict):
        return str(event)
    head = " ".join(str(event[key]) for key in ("timestamp", "level") if event.get(key))
    return f"{head} {event.get('event', '')}".strip()


def _refuse(answer: httpx.Response) -> None:
    """Raise what Airflow said in its refusal."""
    if answer.is_success:
        return
    try:
        detail = answer.json().get("detail", answer.text)
    except (ValueError, AttributeError):
        detail = answer.text[:500]
    request = answer.request
    message = f"Airflow refused {request.method} {request.url.path}: {answer.status_code} {detail}"
    raise StackError(message)
