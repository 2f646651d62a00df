"""The whole real stack for the drills: PostgreSQL as Modelyard's database, and versions to serve."""

from __future__ import annotations

import base64
import io
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import pandas as pd
from PIL import Image

from benchmarks.drills.load import body_of
from benchmarks.drills.postgres import Postgres, postgres
from modelyard.ray_access import ray_headers
from modelyard.rollout.routes import INGRESS_APP, app_name
from modelyard.settings import Settings, get_settings
from modelyard.stack import stack
from modelyard.stack.ports import read_ports

MODEL = "breast-cancer-mlp"
APPLICATIONS = "/api/serve/applications/"


@dataclass(frozen=True, slots=True)
class Yard:
    """A running stack, its database server, and how to reach them."""

    settings: Settings
    running: stack.Running
    database: Postgres

    @property
    def client(self) -> Settings:
        """The settings of a process that uses the stack."""
        return self.running.client_settings(self.settings)

    @property
    def url(self) -> str:
        """Where the model is asked."""
        return f"{self.client.endpoint}/models/{MODEL}/predict"

    def modelyard(self, *arguments: str) -> str:
        """Run the command line; raise with what it printed if it refuses."""
        own = {key: value for key, value in os.environ.items() if key != "MODELYARD_HOME"}
        done = subprocess.run(
            [Path(sys.executable).with_name("modelyard"), *arguments],
            env={**own, "MODELYARD_HOME": str(self.settings.home)},
            cwd=self.settings.project,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            message = f"modelyard {' '.join(arguments)}:\n{done.stdout}\n{done.stderr}"
            raise RuntimeError(message)
        return done.stdout

    def train(self, seed: int, *options: str, model: str = MODEL) -> int:
        """Train and register one more version, and serve it if it is the first; return its number."""
        words = ["--set", f"seed={seed}", "--set", "gate=[]", *options]
        found = json.loads(self.modelyard("run", model, *words, "--json"))
        return int(found["register"]["version"])

    def rows(self, count: int) -> list[dict[str, object]]:
        """Rows of the table that the model learned from, without what it predicts."""
        (table, *_) = sorted(self.settings.home.glob("stages/split/*/table.parquet"))
        inputs = pd.read_parquet(table).drop(columns=["diagnosis", "split"])
        found: list[dict[str, object]] = inputs.head(count).to_dict("records")
        return found

    def body(self, count: int = 1) -> bytes:
        """A request's body."""
        return body_of(self.rows(count))

    def image(self) -> bytes:
        """A request's body with one image."""
        image = Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8))
        stream = io.BytesIO()
        image.save(stream, "PNG")
        return body_of([{"image": base64.b64encode(stream.getvalue()).decode()}])

    def replicas(self, version: int | None) -> list[int]:
        """The processes of a version, or of the endpoint, that Serve says run."""
        app = INGRESS_APP if version is None else app_name(MODEL, version)
        url = f"{self.client.serve_api}{APPLICATIONS}"
        found = httpx.get(url, headers=ray_headers(self.client), trust_env=False, timeout=30).json()
        return [
            replica["pid"]
            for deployment in found["applications"][app]["deployments"].values()
            for replica in deployment["replicas"]
            if replica["state"] == "RUNNING"
        ]

    def health(self) -> dict[str, object]:
        """What the endpoint says of itself."""
        answer = httpx.get(f"{self.client.endpoint}/health", trust_env=False, timeout=10)
        found: dict[str, object] = answer.json()
        return found


@contextmanager
def yard() -> Iterator[Yard]:
    """Start everything on free ports in a temporary home, and leave nothing of it."""
    project = get_settings().project
    with tempfile.TemporaryDirectory(prefix="modelyard-drill-") as home, postgres() as database:
        os.environ["MODELYARD_DATABASE_URL"] = database.url
        settings = Settings.model_validate({"project": project, "MODELYARD_HOME": Path(home)})
        try:
            running = stack.up(settings, read_ports(any_free=True), lambda _event: None)
            yield Yard(settings, running, database)
        finally:
            stack.down(settings)
