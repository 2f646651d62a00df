"""Any DAG may tell people where alerts go, too."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest

from modelyard.settings import get_settings


class Listener(BaseHTTPRequestHandler):
    """Keeps what is posted to it."""

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        self.server.got.append(json.loads(self.rfile.read(length)))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def listener() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Listener)
    server.got = []
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_failure_is_told_in_the_words_of_the_templates(
    listener: ThreadingHTTPServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from airflow.sdk import DAG
    from modelyard_dags.notifier import ModelyardNotifier

    gone = "json://127.0.0.1:9/"  # nobody listens on the discard port
    here = f"127.0.0.1:{listener.server_port}/hook"
    monkeypatch.setenv("MODELYARD_NOTIFY", f"{gone} json://{here} webhook+http://{here}")
    get_settings.cache_clear()
    task = SimpleNamespace(task_id="load", state="failed")
    context = {"dag": DAG("nightly", schedule=None), "task_instance": task, "run_id": "r1"}
    ModelyardNotifier()(context)
    ModelyardNotifier("{{ run_id }} is late", "Look.")(context)
    first, document, second, _ = listener.got
    assert "nightly: load failed" in json.dumps(first)
    assert "Run r1 of nightly." in json.dumps(first)
    assert (document["title"], document["message"]) == (
        "nightly: load failed",
        "Run r1 of nightly.",
    )
    assert "r1 is late" in json.dumps(second)
