"""The least that serves a model over HTTP: FastAPI and uvicorn in one process, no checks, no log.

Run by `python -m benchmarks.serving.servers.plain_fastapi ludwig|compiled FOLDER PORT`.
"""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

type Row = dict[str, Any]
type Answer = Callable[[list[Row]], list[dict[str, Any]]]


class Body(BaseModel):
    """A request."""

    rows: list[Row]


def with_images(row: Row) -> Row:
    """Read the image of a row out of its base64."""
    return {**row, "image": base64.b64decode(row["image"])} if "image" in row else row


def by_compiled(folder: Path) -> Answer:
    """Answer by Modelyard's compiled predictor."""
    from modelyard.training import compiled

    model = compiled.load(folder, threads=1)
    assert model is not None
    answer: Answer = model.answer
    return answer


def by_ludwig(folder: Path) -> Answer:
    """Answer by LudwigModel.predict."""
    import pandas as pd
    import torch

    from modelyard.training.predictor import Predictor

    torch.set_num_threads(1)
    model = Predictor(folder)

    def answer(rows: list[Row]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(
            model.predict(pd.DataFrame(rows)).to_json(orient="records")
        )
        return found

    return answer


def make_app(answer: Answer) -> FastAPI:
    """Make the application."""
    app = FastAPI()

    @app.post("/predict")
    async def predict(body: Body) -> dict[str, Any]:
        return {"predictions": answer([with_images(row) for row in body.rows])}

    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    return app


def main() -> None:
    """Serve."""
    engine, folder, port = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    answer = by_compiled(folder) if engine == "compiled" else by_ludwig(folder)
    uvicorn.run(make_app(answer), host="127.0.0.1", port=port, access_log=False, log_level="error")


if __name__ == "__main__":
    main()
