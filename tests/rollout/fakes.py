"""A small HTTP server that speaks as Ray's dashboard and as the endpoint."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from modelyard.rollout.ray_serve import APPLICATIONS
from modelyard.rollout.routes import INGRESS_APP, RouteTable


class FakeServe:
    """Becomes at once what it is asked to be, except for applications that are said to be broken."""

    def __init__(self) -> None:
        self.config: dict[str, Any] = {"applications": []}
        self.puts: list[dict[str, Any]] = []
        self.broken: dict[str, str] = {}
        self.stuck: set[str] = set()
        self.refusal: str | None = None
        self.routes_by: str | None = None
        self.deleted = False
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def apps(self) -> list[str]:
        return [app["name"] for app in self.config["applications"]]

    def table(self) -> RouteTable:
        [app] = [app for app in self.config["applications"] if app["name"] == INGRESS_APP]
        return RouteTable.model_validate(app["deployments"][0]["user_config"])

    def _details(self) -> dict[str, Any]:
        return {
            app["name"]: {**self._status(app["name"]), "deployed_app_config": app}
            for app in self.config["applications"]
        }

    def _status(self, app: str) -> dict[str, Any]:
        if app in self.broken:
            part = {"status": "DEPLOY_FAILED", "message": self.broken[app]}
            return {
                "status": "DEPLOY_FAILED",
                "message": "failed",
                "deployments": {"Variant": part},
            }
        return {"status": "DEPLOYING" if app in self.stuck else "RUNNING", "message": ""}

    def _answer(self, method: str, path: str, body: bytes) -> tuple[int, Any]:
        if path == "/health":
            return 200, {"revision": self.routes_by or self.table().revision}
        assert path == APPLICATIONS
        if self.refusal is not None:
            return 400, self.refusal
        if method == "PUT":
            self.config = json.loads(body)
            self.puts.append(self.config)
        if method == "DELETE":
            self.config, self.deleted = {"applications": []}, True
        return 200, {"applications": self._details()}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        serve = self

        class Handler(BaseHTTPRequestHandler):
            def _do(self) -> None:
                length = int(self.headers.get("content-length", 0))
                status, content = serve._answer(self.command, self.path, self.rfile.read(length))
                payload = json.dumps(content).encode()
                self.send_response(status)
                self.send_header("content-length", str(len(payload)))
                self.end_headers()
                self.wfile.write(payload)

            do_GET = do_PUT = do_DELETE = _do  # noqa: N815 - http.server looks for these names

            def log_message(self, *_: object) -> None:
                return

        return Handler
