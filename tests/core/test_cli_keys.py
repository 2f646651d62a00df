"""`modelyard keys`, with a real database."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from modelyard.api_keys import verify
from modelyard.cli.app import main
from modelyard.settings import get_settings
from modelyard.store.database import open_store


@pytest.fixture(autouse=True)
def _home(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELYARD_HOME", str(project / "home"))
    get_settings.cache_clear()


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["keys", *arguments])
    return int(str(ended.value.code or 0))


def test_a_key_is_shown_once_and_works(capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--scope", "predict", "--scope", "feedback", "--model", "digits", "--rate", "600")
    assert run("create", "shop", *options) == 0
    text = capsys.readouterr().out.strip()
    with open_store(get_settings().database_url) as store:
        (record,) = store.api_keys()
    assert verify(text, {record.id: record}) == record
    assert (record.scopes, record.models) == (("predict", "feedback"), ("digits",))
    assert record.rate_per_minute == 600
    run("list", "--json")
    listed = capsys.readouterr().out
    assert text not in listed
    assert record.digest not in listed


def test_a_key_in_json_is_for_scripts(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("create", "shop", "--scope", "admin", "--json") == 0
    made = json.loads(capsys.readouterr().out)
    assert made["name"] == "shop"
    assert made["key"].startswith(f"mdy_{made['id']}_")
    assert "digest" not in made


def test_a_name_is_used_once(capsys: pytest.CaptureFixture[str]) -> None:
    run("create", "shop", "--scope", "predict")
    assert run("create", "shop", "--scope", "predict") == 1
    assert "already" in capsys.readouterr().err


def test_revoking_is_told_in_the_list(capsys: pytest.CaptureFixture[str]) -> None:
    run("create", "shop", "--scope", "predict")
    assert run("revoke", "shop") == 0
    assert run("revoke", "shop", "--json") == 0
    capsys.readouterr()
    run("list", "--json")
    (listed,) = json.loads(capsys.readouterr().out)
    assert listed["revoked"] is not None


def test_an_unknown_name_is_refused_with_those_there_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    run("create", "shop", "--scope", "predict")
    assert run("revoke", "shap") == 2
    assert "there is shop" in capsys.readouterr().err


def test_without_keys_the_list_says_how_to_make_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("list") == 0
    assert "keys create" in capsys.readouterr().out


def test_a_scope_is_asked_for() -> None:
    assert run("create", "shop") == 2
