"""Which token is shown to which Ray cluster."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelyard.errors import ComputeError
from modelyard.ray_access import ray_environment, ray_headers
from modelyard.settings import Settings

HERE, ELSEWHERE = "127.0.0.1:6380", "ray.example.org:6380"


def settings(project: Path, address: str = HERE, token: Path | None = None) -> Settings:
    return Settings.model_validate(
        {
            "project": project,
            "serve_api": f"http://{address}",
            "MODELYARD_RAY_ADDRESS": address,
            "MODELYARD_RAY_TOKEN_PATH": token,
        }
    )


@pytest.fixture
def own(project: Path) -> Path:
    """The token of the local stack."""
    file = settings(project).ray_token_file
    file.parent.mkdir(parents=True)
    file.write_text("secret\n")
    return file


def test_the_stacks_token_is_shown_to_the_stack(project: Path, own: Path) -> None:
    assert ray_headers(settings(project)) == {"Authorization": "Bearer secret"}
    assert ray_environment(settings(project)) == {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(own),
    }


@pytest.mark.parametrize("address", [ELSEWHERE, f"ray://{ELSEWHERE}", "127.evil.org:6380"])
def test_the_stacks_token_is_not_shown_to_another_machine(
    project: Path, own: Path, address: str
) -> None:
    assert own.exists()
    assert ray_headers(settings(project, address)) == {}
    assert ray_environment(settings(project, address)) == {}


def test_a_token_is_shown_where_the_settings_say_so(project: Path) -> None:
    token = project / "token"
    token.write_text("theirs")
    found = settings(project, ELSEWHERE, token)
    assert ray_headers(found) == {"Authorization": "Bearer theirs"}
    assert ray_environment(found)["RAY_AUTH_TOKEN_PATH"] == str(token)


def test_a_local_cluster_without_a_token_is_joined_without_one(project: Path) -> None:
    """Unsaid, Ray would look for one in ~/.ray, which any program may have left there."""
    assert ray_environment(settings(project)) == {"RAY_AUTH_MODE": "disabled"}
    assert ray_headers(settings(project)) == {}


def test_without_a_cluster_nothing_is_said(project: Path) -> None:
    assert ray_environment(Settings(project=project)) == {}


def test_a_missing_token_is_named(project: Path) -> None:
    found = settings(project, ELSEWHERE, project / "none")
    with pytest.raises(ComputeError, match=r"No such file.*none.*RAY_TOKEN_PATH"):
        ray_headers(found)
