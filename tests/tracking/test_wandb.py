"""Weights & Biases is told what MLflow is told: offline, quietly, and only if it is asked for."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from modelyard.errors import UsageError
from modelyard.tracking.wandb_log import About, WandbLog, open_wandb
from modelyard.workspace import Workspace
from tests.tracking.samples import workspace_in

ABOUT = About("id", "flowers", "r", "r", "train")

# A real training's calls, with every way to the network closed but for sockets of this machine.
OFFLINE = """
import os, socket, sys
from pathlib import Path
real = socket.socket.connect
def connect(self, address):
    if self.family != socket.AF_UNIX:
        os.write(1, f"connects to {address}".encode())
        os._exit(3)
    return real(self, address)
def resolve(*arguments, **options):
    os.write(1, f"looks for {arguments}".encode())
    os._exit(3)
socket.socket.connect, socket.getaddrinfo = connect, resolve
from tests.tracking.samples import make, workspace_in
made = make(workspace_in(Path(sys.argv[1]), wandb="offline"), "one", 0.75)
print(made.trained.mlflow_run)
"""


def written(folder: Path) -> bytes:
    """All that the offline files hold; names and values stand in them as text."""
    files = sorted(folder.glob("wandb/offline-run-*/*.wandb"))
    return b"".join(file.read_bytes() for file in files)


def test_an_offline_run_has_the_same_figures_and_asks_no_network(tmp_path: Path) -> None:
    here = tmp_path / "here"
    here.mkdir()
    root = Path(__file__).parents[2]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(root / "include"), str(root)]),
        "HOME": str(tmp_path / "person"),
    }
    done = subprocess.run(
        [sys.executable, "-c", OFFLINE, str(tmp_path)],
        cwd=here,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert list(here.iterdir()) == []
    assert not (tmp_path / "person").exists()
    told = written(tmp_path / "home")
    for text in (
        done.stdout.strip(),
        "train/label.loss",
        "evaluation/label.accuracy",
        "model.trainer.epochs",
        "0.75",
    ):
        assert text.encode() in told, text


def test_off_is_the_default(workspace: Workspace) -> None:
    assert workspace.settings.wandb == "off"
    assert open_wandb(workspace.settings, ABOUT) is None


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    settings = workspace_in(tmp_path, wandb="offline").settings
    with pytest.raises(UsageError, match=r"pip install 'modelyard\[wandb\]'"):
        open_wandb(settings, ABOUT)


def test_what_fails_later_harms_no_training(caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        def __getattr__(self, name: str) -> Any:
            raise OSError(name)

    second = WandbLog.__new__(WandbLog)
    second._run = Broken()
    second.params({"a": "1"})
    second.epoch(1, {"loss": 1.0})
    second.summary({"accuracy": 1.0})
    second.end()
    assert caplog.text.count("did not take it") == 4
