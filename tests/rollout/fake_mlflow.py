"""A small HTTP server that keeps the aliases and tags of registered models as MLflow's REST does."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from modelyard.tracking.aliases import API, GONE


class FakeMlflow:
    """One registered model with versions 1 to 9."""

    def __init__(self, model: str = "m") -> None:
        self.model = model
        self.aliases: dict[str, int] = {}
        self.tags: dict[str, str] = {}
        self.down = False
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _answer(self, method: str, path: str, values: dict[str, Any]) -> tuple[int, Any]:
        if self.down:
            return 503, "not now"
        if values["name"] != self.model or not 1 <= int(values.get("version", 1)) <= 9:
            return 404, {"error_code": GONE, "message": "there is none"}
        match method, path.removeprefix(API):
            case "GET", "/get":
                aliases = [{"alias": a, "version": str(v)} for a, v in self.aliases.items()]
                tags = [{"key": key, "value": value} for key, value in self.tags.items()]
                return 200, {"registered_model": {"name": "m", "aliases": aliases, "tags": tags}}
            case "POST", "/alias":
                self.aliases[values["alias"]] = int(values["version"])
            case "DELETE", "/alias":
                self.aliases.pop(values["alias"], None)
            case "POST", "/set-tag":
                self.tags[values["key"]] = values["value"]
            case "DELETE", "/delete-tag":
                if self.tags.pop(values["key"], None) is None:
                    return 404, {"error_code": GONE, "message": "no such tag"}
            case _:
                return 404, {"error_code": "ENDPOINT_NOT_FOUND", "message": path}
        return 200, {}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def _do(self) -> None:
                url = urlsplit(self.path)
                length = int(self.headers.get("content-length", 0))
                body = self.rfile.read(length)
                values = (
                    json.loads(body) if body else {k: v[0] for k, v in parse_qs(url.query).items()}
                )
                status, content = fake._answer(self.command, url.path, values)
                payload = json.dumps(content).encode()
                self.send_response(status)
                self.send_header("content-length", str(len(payload)))
                self.end_headers()
                self.wfile.write(payload)

            do_GET = do_POST = do_DELETE = _do  # noqa: N815 - http.server looks for these names

            def log_message(self, *_: object) -> None:
                return

        return Handler
