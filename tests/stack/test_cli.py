from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from modelyard.cli import stack as subject
from modelyard.errors import StackError
from modelyard.settings import Settings, get_settings
from modelyard.stack.keys import make_keys
from modelyard.stack.ports import Ports
from modelyard.stack.stack import Running
from modelyard.stack.state import record
from tests.stack.conftest import wait_until

type Run = Callable[..., str]


@pytest.fixture
def run(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    monkeypatch.setenv("MODELYARD_PROJECT", str(settings.project))
    monkeypatch.setenv("MODELYARD_HOME", str(settings.home))
    get_settings.cache_clear()
    app = typer.Typer()
    subject.register(app)

    def call(*arguments: str, code: int = 0) -> str:
        result = CliRunner().invoke(app, list(arguments), catch_exceptions=code == 0)
        if code == 0 and result.exception is not None:
            raise result.exception
        assert result.exit_code == code
        return result.output

    yield call
    get_settings.cache_clear()


@pytest.fixture
def logs(settings: Settings) -> Path:
    folder = settings.home / "services" / "logs"
    folder.mkdir(parents=True)
    for name in ("mlflow", "airflow-scheduler", "airflow-triggerer"):
        (folder / f"{name}.log").write_text("".join(f"{name} line {n}\n" for n in range(30)))
    return folder


def test_status_of_nothing_says_how_to_start(run: Run) -> None:
    assert "make up" in run("status")


def test_status_of_nothing_in_json(run: Run) -> None:
    assert json.loads(run("status", "--json")) == {
        "running": False,
        "healthy": False,
        "services": [],
    }


def test_down_does_nothing_where_nothing_runs_twice_in_a_row(run: Run) -> None:
    assert "nothing was running" in run("down")
    assert "nothing was running" in run("down")


@pytest.mark.usefixtures("logs")
def test_the_end_of_every_log_is_shown_with_its_service(run: Run) -> None:
    lines = run("logs", "-n", "2").splitlines()
    assert len(lines) == 6
    assert "mlflow: mlflow line 29" in lines


@pytest.mark.usefixtures("logs")
def test_one_service_is_shown_without_its_name(run: Run) -> None:
    assert run("logs", "mlflow", "-n", "1") == "mlflow line 29\n"


@pytest.mark.usefixtures("logs")
def test_part_of_a_name_chooses_several(run: Run) -> None:
    assert len(run("logs", "airflow", "-n", "1").splitlines()) == 2


@pytest.mark.usefixtures("logs")
def test_an_unknown_service_is_told_with_those_that_are_known(run: Run) -> None:
    with pytest.raises(StackError, match=r"no log of a service 'nginx' .*mlflow"):
        run("logs", "nginx")


def test_a_log_is_followed_through_a_rotation(
    settings: Settings, logs: Path, tmp_path: Path
) -> None:
    variables = {"MODELYARD_PROJECT": str(settings.project), "MODELYARD_HOME": str(settings.home)}
    code = "import typer; from modelyard.cli import stack; app = typer.Typer(); stack.register(app); app()"
    file, shown = logs / "mlflow.log", tmp_path / "shown"

    def write(text: str, mode: str) -> None:
        with file.open(mode) as stream:
            stream.write(text)

    def shows(text: str) -> bool:
        return text in shown.read_text()

    with (
        shown.open("w") as output,
        subprocess.Popen(
            [sys.executable, "-c", code, "logs", "mlflow", "-f", "-n", "1"],
            env={**os.environ, **variables},
            stdout=output,
        ) as process,
    ):
        wait_until(lambda: shows("line 29"))
        write("a new line\n", "a")
        wait_until(lambda: shows("a new line"))
        write("after the rotation\n", "w")
        wait_until(lambda: shows("after the rotation"))
        process.terminate()


def test_a_new_password_is_shown_once(
    settings: Settings, ports: Ports, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = []
    for _ in range(2):
        keys = make_keys(settings.home / "secrets")
        recorded = record(settings, os.getpid(), ports)
        subject.print_places(Running(recorded=recorded, keys=keys, began_now=True))
        text = capsys.readouterr().out
        assert str(keys.password_file) in text.replace("\n", "")
        shown.append(keys.password in text)
    assert shown == [True, False]
