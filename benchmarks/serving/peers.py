"""Who is measured: Modelyard, and others with the same model in the same minutes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from benchmarks.serving.models import Made
from benchmarks.serving.wrk import Request
from modelyard.rollout.moves import Author
from modelyard.rollout.ray_serve import ServeClient
from modelyard.settings import Settings
from modelyard.store.database import open_store
from modelyard.store.records import LedgerEntry, Variant
from tests.serving.cluster import cluster, end, free_ports, wait_for_dashboard

PROJECT = Path(__file__).parents[2]
START_SECONDS = 240.0
BOUNDARY = "modelyard-benchmark"
ME = Author("a benchmark")

MODELYARD, BARE, PLAIN, PLAIN_LUDWIG = "modelyard", "ray-serve", "fastapi", "fastapi-ludwig"
LUDWIG, MLFLOW, LITSERVE = "ludwig-serve", "mlflow", "litserve"
ALL = (MODELYARD, PLAIN, LITSERVE, BARE, PLAIN_LUDWIG, LUDWIG, MLFLOW)
TITLES: Mapping[str, str] = {
    MODELYARD: "**Modelyard** (router, checks, log)",
    PLAIN: "uvicorn + FastAPI in process, compiled",
    LITSERVE: "LitServe, compiled, batching",
    BARE: "Ray Serve, one deployment, compiled",
    PLAIN_LUDWIG: "uvicorn + FastAPI in process, LudwigModel.predict",
    LUDWIG: "`ludwig serve`",
    MLFLOW: "`mlflow models serve`",
}


type Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Running:
    """Servers that answer: the request of each, by server and model."""

    requests: Mapping[tuple[str, str], Request]
    modelyard: Settings | None


@contextmanager
def running(
    names: Sequence[str], models: Sequence[Made], settings: Settings, cache: Path, say: Say
) -> Iterator[Running]:
    """Start the servers one after the other; what does not start is said and left out."""
    requests: dict[tuple[str, str], Request] = {}
    served: Settings | None = None
    with ExitStack() as stack:
        for name in names:
            try:
                say(f"starting {name}")
                if name == MODELYARD:
                    served = stack.enter_context(_modelyard(models, settings))
                    for made in models:
                        url = f"{served.endpoint}/models/{made.name}/predict"
                        requests[name, made.name] = _json(cache, made, name, url, made.body())
                elif name == BARE:
                    urls = stack.enter_context(_bare(models, settings))
                    for made in models:
                        requests[name, made.name] = _json(
                            cache, made, name, urls[made.name], made.body()
                        )
                else:
                    for made in models:
                        requests[name, made.name] = stack.enter_context(
                            _process(name, made, cache, settings)
                        )
            except (RuntimeError, OSError, subprocess.SubprocessError, httpx.HTTPError) as error:
                say(f"{name} is left out: {error}")
                requests = {key: value for key, value in requests.items() if key[0] != name}
        yield Running(requests, served)


@contextmanager
def _modelyard(models: Sequence[Made], settings: Settings) -> Iterator[Settings]:
    """Serve the models on a Ray cluster of their own, one replica each."""
    from modelyard import serve_control

    with cluster(settings.home) as found, open_store(found.database_url) as store:
        for made in models:
            variant = Variant(model=made.name, version=made.version, weight=1, role="champion")
            entry = LedgerEntry(
                model=made.name,
                action="deploy",
                before={},
                after={str(made.version): 1},
                reason="benchmark",
                by=ME.by,
            )
            store.move(made.name, [variant], entry)
        wait_for_dashboard(found)
        serve_control.sync(found)
        yield found
        serve_control.shut_down(found)


@contextmanager
def _bare(models: Sequence[Made], settings: Settings) -> Iterator[dict[str, str]]:
    with cluster(settings.home) as found:
        wait_for_dashboard(found)
        port = int(found.endpoint.rpartition(":")[2])
        with ServeClient(str(found.serve_api)) as client:
            client.put(
                {
                    "http_options": {"host": "127.0.0.1", "port": port},
                    "logging_config": {"enable_access_log": False, "log_level": "WARNING"},
                    "applications": [_bare_app(made) for made in models],
                }
            )
            client.wait_running([made.name for made in models])
        yield {made.name: f"{found.endpoint}/{made.name}" for made in models}


def _bare_app(made: Made) -> dict[str, Any]:
    return {
        "name": made.name,
        "route_prefix": f"/{made.name}",
        "import_path": "benchmarks.serving.servers.bare_serve:build",
        "args": {"folder": str(made.compiled)},
    }


@contextmanager
def _process(name: str, made: Made, cache: Path, settings: Settings) -> Iterator[Request]:
    """Start a server that is one command; wait until it answers the request."""
    [port] = free_ports(1)
    log = cache / "logs" / f"{name}-{made.name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
        "PYTHONPATH": f"{PROJECT}{os.pathsep}{PROJECT / 'include'}",
        "MLFLOW_TRACKING_URI": settings.tracking_uri,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    with log.open("w") as stream:
        process = subprocess.Popen(
            _command(name, made, cache, port),
            env=environment,
            cwd=PROJECT,
            stdout=stream,
            stderr=stream,
            start_new_session=True,
        )
    try:
        request = _request(name, made, cache, f"http://127.0.0.1:{port}")
        _wait(process, request, log)
        yield request
    finally:
        end(process)


def _command(name: str, made: Made, cache: Path, port: int) -> list[str]:
    python = sys.executable
    plain = [python, "-m", "benchmarks.serving.servers.plain_fastapi"]
    if name == PLAIN:
        return [*plain, "compiled", str(made.compiled), str(port)]
    if name == PLAIN_LUDWIG:
        return [*plain, "ludwig", str(made.ludwig), str(port)]
    if name == LUDWIG:
        options = ["--model_path", str(made.ludwig), "--host", "127.0.0.1", "--port", str(port)]
        return [str(Path(python).with_name("ludwig")), "serve", *options]
    if name == MLFLOW:
        options = ["-m", str(made.folder), "--env-manager", "local", "-h", "127.0.0.1"]
        program = [str(Path(python).with_name("mlflow")), "models", "serve"]
        return [*program, *options, "-p", str(port), "-w", "1"]
    script = PROJECT / "benchmarks" / "serving" / "servers" / "lit.py"
    return [str(litserve(cache)), str(script), str(made.compiled), str(port)]


def litserve(cache: Path) -> Path:
    """Return a Python that has LitServe beside all that this one has; made once, in the cache."""
    folder = cache / "litserve"
    python = folder / "bin" / "python"
    if not (folder / "done").exists():
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
        [site] = folder.glob("lib/python*/site-packages")
        [own] = [path for path in map(Path, sys.path) if path.name == "site-packages"][:1]
        (site / "modelyard.pth").write_text(f"{own}\n")
        options = ["install", "--quiet", "--python", str(python), "--no-deps", "litserve", "pyzmq"]
        uv = Path(sys.executable).with_name("uv")
        subprocess.run([uv, "pip", *options], check=True)
        (folder / "done").touch()
    return python


def _request(name: str, made: Made, cache: Path, base: str) -> Request:
    if name == LUDWIG:
        body = cache / "bodies" / f"{name}-{made.name}"
        body.parent.mkdir(parents=True, exist_ok=True)
        body.write_bytes(_form(made))
        kind = f"multipart/form-data; boundary={BOUNDARY}"
        return Request(f"{base}/predict", body, kind)
    if name == MLFLOW:
        document = json.dumps({"dataframe_records": [made.json_row]}).encode()
        return _json(cache, made, name, f"{base}/invocations", document)
    return _json(cache, made, name, f"{base}/predict", made.body())


def _json(cache: Path, made: Made, name: str, url: str, document: bytes) -> Request:
    body = cache / "bodies" / f"{name}-{made.name}"
    body.parent.mkdir(parents=True, exist_ok=True)
    body.write_bytes(document)
    return Request(url, body)


def _form(made: Made) -> bytes:
    """Write a row as `ludwig serve` takes it: a form with a field, or a file, a column."""
    parts = []
    for name, value in made.row.items():
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"'
        if isinstance(value, bytes):
            head += '; filename="image.png"\r\nContent-Type: image/png'
        content = value if isinstance(value, bytes) else str(value).encode()
        parts.append(head.encode() + b"\r\n\r\n" + content + b"\r\n")
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


def _wait(process: subprocess.Popen[bytes], request: Request, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    headers = {"Content-Type": request.content_type}
    last = "it does not answer"
    while time.monotonic() < deadline:
        if process.poll() is not None:
            message = f"it ended; see {log}"
            raise RuntimeError(message)
        with suppress(httpx.HTTPError):
            content = request.body.read_bytes()
            answer = httpx.post(
                request.url, content=content, headers=headers, trust_env=False, timeout=60
            )
            if answer.is_success:
                return
            last = f"{answer.status_code} {answer.text[:300]}"
        time.sleep(0.5)
    message = f"{last}; see {log}"
    raise RuntimeError(message)
