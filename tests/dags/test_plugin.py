"""Modelyard's page inside of Airflow's real api-server application."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from modelyard.settings import get_settings
from modelyard.store.database import open_store
from modelyard.store.records import LedgerEntry, Variant

if TYPE_CHECKING:
    from starlette.testclient import TestClient

pytestmark = [
    pytest.mark.usefixtures("migrated"),
    # Airflow's, FastAPI's and Starlette's own
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]
HOSTILE = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def server(
    airflow_environment: dict[str, str],
    migrated: None,  # noqa: ARG001 - in this order
) -> Iterator["TestClient"]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in airflow_environment.items():
            patch.setenv(name, value)
        patch.syspath_prepend(airflow_environment["AIRFLOW__CORE__PLUGINS_FOLDER"])
        from airflow.api_fastapi.app import create_app
        from starlette.testclient import TestClient

        with TestClient(create_app("core"), base_url="http://testserver") as client:
            yield client


@pytest.fixture
def client(server: "TestClient") -> Iterator["TestClient"]:
    """The server, for somebody who is logged in."""
    passwords = Path(os.environ["AIRFLOW_HOME"], "simple_auth_manager_passwords.json.generated")
    login = {"username": "vic", "password": json.loads(passwords.read_text())["vic"]}
    token = server.post("/auth/token", json=login).json()["access_token"]
    server.headers["Authorization"] = f"Bearer {token}"
    yield server
    del server.headers["Authorization"]


def write_report(name: str, text: str = "<h1>report</h1>") -> Path:
    path = get_settings().home / "reports" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.mark.parametrize("path", ["/modelyard/", "/modelyard/reports/toy/a.html"])
def test_who_is_not_logged_in_sees_nothing(server: "TestClient", path: str) -> None:
    write_report("toy/a.html")
    server.cookies.clear()
    assert server.get(path).status_code == 401


def test_an_empty_project_says_how_to_begin(client: "TestClient") -> None:
    page = client.get("/modelyard/").text
    assert "modelyard spec new" in page
    assert "Nothing is served yet" in page
    assert "There is no report yet" in page


def test_specs_are_listed_broken_ones_with_their_error(client: "TestClient", specs: Path) -> None:
    (specs / "bad.yaml").write_text("name: bad\n")
    page = client.get("/modelyard/").text
    assert "bad.yaml" in page
    assert "broken" in page
    assert str(specs) not in page


def test_models_are_listed_with_their_traffic(client: "TestClient") -> None:
    variants = [
        Variant(model="toy", version=3, weight=3, role="champion"),
        Variant(model="toy", version=4, weight=1, role="challenger"),
    ]
    entry = LedgerEntry(
        model="toy", action="split", before={}, after={"3": 3}, reason=HOSTILE, by="ada"
    )
    with open_store(get_settings().database_url) as store:
        store.move("toy", variants, entry)
    page = client.get("/modelyard/").text
    assert "75 %" in page
    assert "split by ada" in page
    assert HOSTILE not in page


def test_a_database_that_cannot_be_read_hides_nothing_else(
    client: "TestClient", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELYARD_DATABASE_URL", "nonsense://")
    get_settings.cache_clear()
    write_report("toy/a.html")
    page = client.get("/modelyard/")
    assert page.status_code == 200
    assert "toy/a.html" in page.text


def test_a_report_is_shown_without_scripts(client: "TestClient") -> None:
    write_report("toy/a.html", HOSTILE)
    answer = client.get("/modelyard/reports/toy/a.html")
    assert answer.status_code == 200
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "script-src" not in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_report_with_a_hostile_name_is_listed_harmlessly(client: "TestClient") -> None:
    write_report('toy/"><img src=x>.html')
    page = client.get("/modelyard/").text
    assert "<img" not in page
    assert "%3Cimg" in page


@pytest.mark.parametrize(
    "name",
    [
        "../modelyard.db",
        "%2e%2e/modelyard.db",
        "..%2fmodelyard.db",
        "/etc/passwd",
        "toy",
        "toy/a.bin",
        "link.html",
        "nothing.html",
        "a%00.html",
    ],
)
def test_nothing_but_reports_is_given_out(client: "TestClient", name: str) -> None:
    secret = write_report("toy/a.bin", "secret")
    (get_settings().home / "modelyard.db").write_text("secret")
    (get_settings().home / "outside.html").write_text("secret")
    (secret.parent.parent / "link.html").symlink_to(get_settings().home / "outside.html")
    answer = client.get(f"/modelyard/reports/{name}")
    assert answer.status_code == 404
    assert "secret" not in answer.text


def test_the_page_allows_its_own_style_and_script_only(client: "TestClient") -> None:
    import base64
    import hashlib
    import re

    answer = client.get("/modelyard/")
    policy = answer.headers["content-security-policy"]
    assert "unsafe-inline" not in policy
    for tag in ("style", "script"):
        (text,) = re.findall(rf"<{tag}>(.*?)</{tag}>", answer.text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy


def test_the_menu_has_an_entry(client: "TestClient") -> None:
    plugins = client.get("/api/v2/plugins").json()["plugins"]
    (ours,) = [plugin for plugin in plugins if plugin["name"] == "modelyard"]
    assert ours["external_views"][0]["destination"] == "nav"
