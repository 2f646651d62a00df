from __future__ import annotations

import configparser
import json
import shlex
import stat
from pathlib import Path

import pytest

from modelyard.errors import StackError
from modelyard.stack.services import Service
from modelyard.stack.supervisor import Supervisor, configuration, write_plan


def read(text: str) -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser(inline_comment_prefixes=(";", "#"), strict=True)
    parser.read_string(text)
    return parser


@pytest.fixture
def parsed(services: dict[str, Service], tmp_path: Path) -> configparser.RawConfigParser:
    return read(configuration(list(services.values()), tmp_path, tmp_path / "logs"))


def test_each_service_is_a_program(
    parsed: configparser.RawConfigParser, services: dict[str, Service]
) -> None:
    programs = [section for section in parsed.sections() if section.startswith("program:")]
    assert programs == [f"program:{name}" for name in services]


def test_no_service_starts_before_its_turn(parsed: configparser.RawConfigParser) -> None:
    programs = [section for section in parsed.sections() if section.startswith("program:")]
    assert {parsed[section]["autostart"] for section in programs} == {"false"}


def test_what_dies_is_started_again_and_what_is_done_is_not(
    parsed: configparser.RawConfigParser,
) -> None:
    assert parsed["program:ray"]["autorestart"] == "true"
    assert parsed["program:airflow-migrate"]["autorestart"] == "false"


def test_levels_follow_what_waits_for_what(parsed: configparser.RawConfigParser) -> None:
    def level(name: str) -> int:
        return parsed.getint(f"program:{name}", "priority")

    assert level("mlflow") == level("ray") == level("airflow-migrate") == 1
    assert level("airflow-api-server") == level("serving") == 2
    assert level("airflow-scheduler") == 3


def test_logs_are_rotated(parsed: configparser.RawConfigParser) -> None:
    section = parsed["program:mlflow"]
    assert section["stdout_logfile_maxbytes"] == "10MB"
    assert int(section["stdout_logfile_backups"]) > 0


def test_the_configuration_holds_no_key(services: dict[str, Service], tmp_path: Path) -> None:
    text = configuration(list(services.values()), tmp_path, tmp_path)
    keys = services["airflow-scheduler"].environment
    assert keys["AIRFLOW__API_AUTH__JWT_SECRET"] not in text


@pytest.mark.parametrize("name", ["50% done", "a b", "it's", 'say "so"', "$HOME", "%(here)s"])
def test_any_usual_folder_name_reaches_the_command(
    name: str, services: dict[str, Service], tmp_path: Path
) -> None:
    runtime = tmp_path / name
    text = configuration([services["ray"]], runtime, tmp_path)
    command = read(text)["program:ray"]["command"].replace("%%", "%")
    assert shlex.split(command)[-2:] == [str(runtime / "plan.json"), "ray"]


@pytest.mark.parametrize("name", ["a ;b", "a #b", "a\nb"])
def test_a_folder_name_that_supervisord_would_cut_is_refused(
    name: str, services: dict[str, Service], tmp_path: Path
) -> None:
    with pytest.raises(StackError, match="a simpler name"):
        configuration([services["ray"]], tmp_path / name, tmp_path)


def test_the_plan_holds_commands_and_environments(
    services: dict[str, Service], tmp_path: Path
) -> None:
    write_plan(list(services.values()), tmp_path, tmp_path)
    plan = json.loads((tmp_path / "plan.json").read_text())
    assert tuple(plan["mlflow"]["command"]) == services["mlflow"].command
    assert plan["airflow-scheduler"]["environment"]["AIRFLOW__CORE__LOAD_EXAMPLES"] == "False"


def test_the_plan_is_for_its_owner_only(services: dict[str, Service], tmp_path: Path) -> None:
    """It holds Airflow's keys."""
    write_plan(list(services.values()), tmp_path, tmp_path)
    assert stat.S_IMODE((tmp_path / "plan.json").stat().st_mode) == 0o600


def test_a_supervisor_that_is_not_there_does_not_answer(tmp_path: Path) -> None:
    assert not Supervisor(tmp_path).answers()


def test_a_call_to_nobody_is_told_as_a_refusal(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="supervisord does not do startProcess"):
        Supervisor(tmp_path).start("ray")


def test_stopping_what_does_not_run_is_no_error(tmp_path: Path) -> None:
    Supervisor(tmp_path).stop("ray")
