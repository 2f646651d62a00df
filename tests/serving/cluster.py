"""A Ray cluster of its own for the heavy tests, and a small real model to serve on it."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import numpy as np

from modelyard.artifacts import Evaluation, RegisteredVersion, SplitData, TrainedModel
from modelyard.rollout.ray_serve import APPLICATIONS
from modelyard.settings import Settings
from modelyard.spec.models import Spec
from modelyard.workspace import Workspace

START_SECONDS = 120
SPEC = Spec.model_validate(
    {
        "name": "digits",
        "data": {"path": "data/digits"},
        "model": {
            "input_features": [
                {
                    "name": "image",
                    "type": "image",
                    "encoder": {"type": "stacked_cnn", "num_conv_layers": 1, "num_fc_layers": 1},
                    "preprocessing": {"num_channels": 1, "height": 8, "width": 8},
                }
            ],
            "output_features": [{"name": "label", "type": "category"}],
            "trainer": {"epochs": 1, "batch_size": 64},
        },
    }
)


def free_ports(count: int) -> list[int]:
    """Ports that are free now, all different."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(opened.getsockname()[1]) for opened in sockets]
    for opened in sockets:
        opened.close()
    return ports


@contextmanager
def cluster(home: Path | None = None) -> Iterator[Settings]:
    """Start Ray in a process group and a short folder of its own, and end it without a trace.

    Args:
        home: Where Modelyard keeps its things; by default that folder too.
    """
    folder = Path(tempfile.mkdtemp(prefix="my-", dir="/tmp"))
    gcs, dashboard, agent, client, endpoint = free_ports(5)
    settings = Settings(
        project=folder,
        MODELYARD_HOME=home or folder / "home",  # type: ignore[call-arg]
        serve_api=f"http://127.0.0.1:{dashboard}",
        endpoint=f"http://127.0.0.1:{endpoint}",
    )
    options = {
        "--node-ip-address": "127.0.0.1",
        "--port": str(gcs),
        "--dashboard-host": "127.0.0.1",
        "--dashboard-port": str(dashboard),
        "--dashboard-agent-listen-port": str(agent),
        "--ray-client-server-port": str(client),
        "--min-worker-port": "0",
        "--max-worker-port": "0",
        "--num-cpus": "2",
        "--object-store-memory": "100000000",
        "--temp-dir": str(folder / "ray"),
    }
    command = [Path(sys.executable).parent / "ray", "start", "--head", "--block"]
    words = [word for option in options.items() for word in option]
    environment = {
        **os.environ,
        "MODELYARD_HOME": str(settings.home),
        "MODELYARD_PROJECT": str(folder),
        "RAY_AUTH_MODE": "disabled",
        "RAY_USAGE_STATS_ENABLED": "0",
        # Ray makes its workers yield to everything else, which is not how serving should be.
        "RAY_worker_niceness": "0",
    }
    with (folder / "ray.log").open("w") as log:
        process = subprocess.Popen(
            [*command, *words], env=environment, stdout=log, stderr=log, start_new_session=True
        )
    try:
        yield settings
    finally:
        end(process)
        shutil.rmtree(folder, ignore_errors=True)


def end(process: subprocess.Popen[bytes]) -> None:
    """End the process group that was started, politely first; its state is thrown away."""
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(3)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(10)


def wait_for_dashboard(settings: Settings) -> None:
    """Wait until Ray takes a Serve configuration."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        with suppress(httpx.HTTPError):
            if httpx.get(f"{settings.serve_api}{APPLICATIONS}", trust_env=False).is_success:
                return
        assert time.monotonic() < deadline, "Ray's dashboard did not start"
        time.sleep(0.2)


def processes(settings: Settings) -> dict[str, list[int]]:
    """The processes of each application."""
    found = httpx.get(f"{settings.serve_api}{APPLICATIONS}", trust_env=False, timeout=30).json()
    return {
        app: sorted(
            replica["pid"]
            for deployment in details["deployments"].values()
            for replica in deployment["replicas"]
            if replica["state"] == "RUNNING"
        )
        for app, details in found["applications"].items()
    }


def train(workspace: Workspace) -> tuple[SplitData, TrainedModel, Evaluation]:
    """Train a very small network on the first digits."""
    from modelyard.tracking.evaluations import log_evaluation
    from modelyard.tracking.runs import open_run
    from modelyard.training.build import build
    from modelyard.training.evaluate import evaluate
    from modelyard.training.train import train as train_model

    split = write_digits(workspace)
    built = build(SPEC, split, workspace)
    with open_run(SPEC, workspace, run="run-1") as tracked:
        trained = train_model(SPEC, split, built, workspace, tracked)
    evaluation = evaluate(SPEC, split, trained, workspace, None)
    log_evaluation(workspace, trained, evaluation)
    return split, trained, evaluation


def register(
    workspace: Workspace, made: tuple[SplitData, TrainedModel, Evaluation], number: int
) -> RegisteredVersion:
    """Register the same weights as one more version, as if they were trained again."""
    from modelyard.tracking.registry import register as register_version

    split, trained, evaluation = made
    other = trained.model_copy(update={"key": f"training-{number}"})
    return register_version(SPEC, workspace, split, other, evaluation, run=f"run-{number}")


def write_digits(workspace: Workspace, count: int = 200) -> SplitData:
    """Write digits as PNG files with a table, as the stage `split` leaves them."""
    import pandas as pd
    from PIL import Image
    from sklearn.datasets import load_digits

    folder = workspace.home / "stages" / "split" / "digits"
    (folder / "reference").mkdir(parents=True)
    (folder / "reference" / "profile.bin").write_bytes(b"")
    bunch = load_digits()
    for number in range(count):
        pixels = np.clip(bunch.images[number] * 16, 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    rows = pd.DataFrame(
        {
            "image": [f"{number}.png" for number in range(count)],
            "label": bunch.target[:count],
            "split": [(0, 0, 0, 1, 2)[number % 5] for number in range(count)],
        }
    )
    rows.to_parquet(folder / "table.parquet", index=False)
    return SplitData(
        key="digits",
        table=workspace.relative(folder / "table.parquet"),
        folder=workspace.relative(folder),
        rows=(count * 3 // 5, count // 5, count // 5),
        content_hash="0" * 64,
        reference=workspace.relative(folder / "reference"),
    )
