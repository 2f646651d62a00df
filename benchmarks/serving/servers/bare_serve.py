"""The least that Ray Serve needs: one deployment that answers, behind Serve's own proxy."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import orjson
from ray import serve
from ray.serve import Application
from starlette.requests import Request
from starlette.responses import Response


class Bare:
    """The deployment."""

    def __init__(self, folder: str) -> None:
        from modelyard.training import compiled

        self._model = compiled.load(Path(folder), threads=1)

    async def __call__(self, request: Request) -> Response:
        """Answer one request."""
        assert self._model is not None
        rows = orjson.loads(await request.body())["rows"]
        for row in rows:
            if "image" in row:
                row["image"] = base64.b64decode(row["image"])
        answers = self._model.answer(rows)
        return Response(orjson.dumps({"predictions": answers}), media_type="application/json")


def build(args: dict[str, Any]) -> Application:
    """Make the application of one model."""
    deployment = serve.deployment(
        Bare, name="Bare", max_ongoing_requests=256, ray_actor_options={"num_cpus": 0}
    )
    return deployment.bind(str(args["folder"]))
