from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from modelyard.stack.keys import make_keys


def mode(file: Path) -> int:
    return stat.S_IMODE(file.stat().st_mode)


def test_every_file_is_for_its_owner_only_whatever_the_umask(tmp_path: Path) -> None:
    make_keys(tmp_path / "secrets")
    assert mode(tmp_path / "secrets") == 0o700
    assert {mode(file) for file in (tmp_path / "secrets").iterdir()} == {0o600}


def test_a_file_that_was_opened_to_others_is_closed_again(tmp_path: Path) -> None:
    make_keys(tmp_path)
    (tmp_path / "airflow_jwt").chmod(0o644)
    make_keys(tmp_path)
    assert mode(tmp_path / "airflow_jwt") == 0o600


def test_nothing_is_a_default(tmp_path: Path) -> None:
    first, second = make_keys(tmp_path / "a"), make_keys(tmp_path / "b")
    assert not {first.jwt, first.session, first.fernet, first.password} & {
        second.jwt,
        second.session,
        second.fernet,
        second.password,
    }


def test_keys_stay_the_same_and_only_the_first_time_is_fresh(tmp_path: Path) -> None:
    first, second = make_keys(tmp_path), make_keys(tmp_path)
    assert first.fresh
    assert not second.fresh
    assert (first.jwt, first.password) == (second.jwt, second.password)


@pytest.mark.parametrize("name", ["jwt", "session"])
def test_signing_keys_have_64_bytes_or_more(tmp_path: Path, name: str) -> None:
    assert len(getattr(make_keys(tmp_path), name)) >= 64


def test_airflow_reads_the_password_file_as_it_is(tmp_path: Path) -> None:
    keys = make_keys(tmp_path)
    assert json.loads(keys.password_file.read_text()) == {"admin": keys.password}


def test_keys_do_not_show_in_a_log(tmp_path: Path) -> None:
    keys = make_keys(tmp_path)
    assert keys.password not in repr(keys)
    assert keys.ray_token_file.read_text() not in repr(keys)
    assert keys.jwt not in repr(keys)


def test_rays_token_stays_and_is_none_of_anothers(tmp_path: Path) -> None:
    token = make_keys(tmp_path / "a").ray_token_file.read_text()
    assert len(token) == 64
    assert make_keys(tmp_path / "a").ray_token_file.read_text() == token
    assert make_keys(tmp_path / "b").ray_token_file.read_text() != token
