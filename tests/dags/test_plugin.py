"""Modelyard's pages inside of Airflow's real api-server application: what they show, and to whom."""

import base64
import hashlib
import json
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from modelyard.settings import get_settings
from modelyard.store.database import open_store
from modelyard.store.records import LedgerEntry, Variant
from tests.dags.pages import alert, drift_check, performance_check, serve, write_report

if TYPE_CHECKING:
    from starlette.testclient import TestClient

pytestmark = [
    pytest.mark.usefixtures("migrated"),
    # Airflow's, FastAPI's and Starlette's own
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]
HOSTILE = "</title><script>alert(1)</script>\"'><img src=x onerror=alert(1)>"


class Tags(HTMLParser):
    """The tags and attributes of a page, as a browser finds them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.names: Counter[str] = Counter()
        self.attributes: Counter[str] = Counter()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names[tag] += 1
        self.attributes.update(name for name, _ in attrs)


PAGES = ["/modelyard/", "/modelyard/models", "/modelyard/drift"]


@pytest.mark.parametrize(
    "path", [*PAGES, "/modelyard/plan", "/modelyard/reports/toy/a.html"], ids=str
)
def test_who_is_not_logged_in_sees_nothing(server: "TestClient", path: str) -> None:
    write_report("toy/a.html", "secret")
    server.cookies.clear()
    answer = server.get(path)
    assert answer.status_code == 401
    assert "/auth/login" in answer.text
    assert "secret" not in answer.text


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/modelyard/", "modelyard spec new"),
        ("/modelyard/models", "Nothing is served yet"),
        ("/modelyard/drift", "nothing to watch"),
        ("/modelyard/drift?model=toy", "Nothing was compared yet"),
    ],
    ids=["specs", "models", "drift", "drift-of-a-model"],
)
def test_an_empty_project_says_how_to_begin(viewer: "TestClient", path: str, words: str) -> None:
    assert words in viewer.get(path).text


def test_specs_are_listed_broken_ones_with_their_error_and_line(
    viewer: "TestClient", specs: Path
) -> None:
    (specs / "bad.yaml").write_text("version: 1\nname: bad\nmodell: {}\n")
    page = viewer.get("/modelyard/").text
    assert "bad.yaml:3" in page
    assert "broken" in page
    assert str(specs) not in page


def test_a_valid_spec_shows_its_champion_and_links_to_its_dag(
    viewer: "TestClient", write_spec: object
) -> None:
    write_spec("toy")  # type: ignore[operator]
    serve("toy", champion=3)
    page = viewer.get("/modelyard/").text
    assert "version 3" in page
    assert "/dags/train_toy" in page
    assert "no training in Airflow" in page


def test_metrics_of_the_champion_are_shown_and_read_once(
    viewer: "TestClient", write_spec: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, int]] = []

    def metrics_of(_settings: object, model: str, version: int) -> dict[str, float]:
        asked.append((model, version))
        return {"label.accuracy": 0.875, "label.loss": 0.25}

    monkeypatch.setattr("modelyard.tracking.measured.metrics_of", metrics_of)
    write_spec("toy")  # type: ignore[operator]
    serve("toy", champion=7)
    for _ in range(2):
        assert "0.875" in viewer.get("/modelyard/").text
    assert asked == [("toy", 7)]


def test_models_are_listed_with_their_traffic(viewer: "TestClient") -> None:
    variants = [
        Variant(model="toy", version=3, weight=3, role="champion"),
        Variant(model="toy", version=4, weight=1, role="challenger"),
    ]
    entry = LedgerEntry(
        model="toy", action="split", before={}, after={"3": 3, "4": 1}, reason="tried", by="ada"
    )
    with open_store(get_settings().database_url) as store:
        store.move("toy", variants, entry)
    page = viewer.get("/modelyard/models").text
    assert "75 %" in page
    assert "v3 75%, v4 25%" in page
    assert "tried" in page
    assert "ada" in page


def test_a_model_that_is_not_served_is_told(viewer: "TestClient") -> None:
    serve("toy")
    page = viewer.get("/modelyard/models", params={"model": HOSTILE}).text
    assert "There is no model" in page
    assert "<script>alert" not in page


def test_drift_shows_verdicts_alerts_performance_and_reports(viewer: "TestClient") -> None:
    serve("toy")
    write_report("toy/a.html")
    write_report("toy/a.json", "{}")
    with open_store(get_settings().database_url) as store:
        for hour in range(3):
            store.save_verdicts(drift_check(hour, effect=0.3))
            store.save_performance(performance_check(hour, value=0.8))
        store.change_alerts("toy", lambda _: ([alert()], ()))
    page = viewer.get("/modelyard/drift").text
    assert page.count('class="h3 hit" title="size,') == 3
    assert "KS distance 0.300, drifted" in page
    assert "size drifted" in page
    assert "Now 0.8, 0.9 at the evaluation: 11.1% worse; 3 looks." in page
    assert page.count("<circle") == 3
    assert "reports/toy/a.html" in page
    assert "reports/toy/a.json" in page


def test_drift_is_filtered_by_version_window_and_rows(viewer: "TestClient") -> None:
    serve("toy")
    with open_store(get_settings().database_url) as store:
        store.save_verdicts(drift_check(0, version=1, window="1000", rows=1111))
        store.save_verdicts(drift_check(1, version=1, window="all", rows=2222))
        store.save_verdicts(drift_check(2, version=2, window="1000", rows=3333))
        store.save_verdicts(drift_check(3, version=2, window="1000", segment="site=a", rows=4444))
    for query, seen in [
        ("model=toy", "1,111"),
        ("model=toy&window=all", "2,222"),
        ("model=toy&version=2", "3,333"),
        ("model=toy&version=2&window=1000&segment=site%3Da", "4,444"),
        ("model=toy&version=x&window=nothing&segment=nothing", "1,111"),
    ]:
        assert f"{seen} predictions" in viewer.get(f"/modelyard/drift?{query}").text, query


def test_a_database_that_cannot_be_read_hides_nothing_else(
    viewer: "TestClient", monkeypatch: pytest.MonkeyPatch, write_spec: object
) -> None:
    monkeypatch.setenv("MODELYARD_DATABASE_URL", "nonsense://")
    get_settings.cache_clear()
    write_report("toy/a.html")
    write_spec("toy")  # type: ignore[operator]
    pages = {path: viewer.get(f"{path}?model=toy") for path in PAGES}
    assert {answer.status_code for answer in pages.values()} == {200}
    assert "toy/a.html" in pages["/modelyard/drift"].text
    assert "train_toy" in pages["/modelyard/"].text
    assert all("nonsense" in answer.text for answer in pages.values())


def test_airflows_database_that_cannot_be_read_hides_nothing_else(
    viewer: "TestClient", monkeypatch: pytest.MonkeyPatch, write_spec: object
) -> None:
    from sqlalchemy.exc import OperationalError

    def broken() -> None:
        statement = "SELECT"
        raise OperationalError(statement, {}, Exception("secret"))

    viewer.get("/modelyard/")
    monkeypatch.setattr("modelyard_ui.airflow_runs.create_session", broken)
    write_spec("toy")  # type: ignore[operator]
    page = viewer.get("/modelyard/").text
    assert "Airflow&#39;s database cannot be read" in page
    assert "train_toy" in page
    assert "secret" not in page


def test_a_report_is_shown_without_scripts(viewer: "TestClient") -> None:
    write_report("toy/a.html", HOSTILE)
    answer = viewer.get("/modelyard/reports/toy/a.html")
    assert answer.status_code == 200
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "script-src" not in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_report_with_a_hostile_name_is_listed_harmlessly(viewer: "TestClient") -> None:
    write_report('toy/"><img src=x>.html')
    page = viewer.get("/modelyard/drift?model=toy").text
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
def test_nothing_but_reports_is_given_out(viewer: "TestClient", name: str) -> None:
    secret = write_report("toy/a.bin", "secret")
    (get_settings().home / "modelyard.db").write_text("secret")
    (get_settings().home / "outside.html").write_text("secret")
    (secret.parent.parent / "link.html").symlink_to(get_settings().home / "outside.html")
    answer = viewer.get(f"/modelyard/reports/{name}")
    assert answer.status_code == 404
    assert "secret" not in answer.text


@pytest.mark.parametrize("model", ["..", ".", "", "../outside", "a/b"])
def test_reports_are_listed_of_a_models_own_folder_only(viewer: "TestClient", model: str) -> None:
    write_report("top.html")
    outside = get_settings().home / "outside"
    outside.mkdir()
    (outside / "o.html").write_text("o")
    page = viewer.get("/modelyard/drift", params={"model": model}).text
    assert "top.html" not in page
    assert "o.html" not in page


@pytest.mark.parametrize(
    "query",
    [
        {"model": "a\x00b"},
        {"model": "a" * 5000},
        {"model": "/etc/passwd"},
        {"model": "toy", "version": "9" * 40},
        {"model": "toy", "version": "\u0663"},
        {"model": "toy", "window": "\x00", "segment": "\ud7ff'; DROP TABLE drift_checks; --"},
    ],
    ids=["nul", "long", "path", "large", "foreign digit", "sql"],
)
def test_what_no_model_is_called_is_answered_all_the_same(
    viewer: "TestClient", query: dict[str, str]
) -> None:
    serve("toy")
    for path in PAGES:
        assert viewer.get(path, params=query).status_code == 200


@pytest.mark.parametrize("path", PAGES, ids=str)
def test_hostile_names_and_values_never_become_markup(
    viewer: "TestClient", specs: Path, path: str
) -> None:
    serve(HOSTILE, by=HOSTILE)
    broken = {"version": 1, "name": "bad", "description": HOSTILE, HOSTILE: 1}
    (specs / "bad.json").write_text(json.dumps(broken))
    with open_store(get_settings().database_url) as store:
        check = drift_check(0, model=HOSTILE, column=HOSTILE, window=HOSTILE, segment=HOSTILE)
        store.save_verdicts(check)
        looked = performance_check(0, model=HOSTILE, window=HOSTILE, segment=HOSTILE)
        named = looked.metrics[0].model_copy(update={"output": HOSTILE, "metric": HOSTILE})
        store.save_performance(looked.model_copy(update={"metrics": (named,)}))
        words = ("model", "subject", "segment", "reason", "comment", "acknowledged_by")
        said = dict.fromkeys(words, HOSTILE)
        store.change_alerts(HOSTILE, lambda _: ([alert().model_copy(update=said)], ()))
    page = viewer.get(path, params={"model": HOSTILE}).text
    assert "alert(1)" in page
    tags = Tags(page)
    assert tags.names["script"] == 1
    assert tags.names["img"] == 0
    assert not [name for name in tags.attributes if name.startswith("on") or name == "style"]


@pytest.mark.parametrize("path", PAGES, ids=str)
def test_a_page_allows_its_own_style_and_script_only(viewer: "TestClient", path: str) -> None:
    serve("toy")
    answer = viewer.get(path)
    policy = answer.headers["content-security-policy"]
    assert "unsafe-inline" not in policy
    assert "form-action 'self'" in policy
    assert "frame-ancestors 'self'" in policy
    assert "style=" not in answer.text
    assert answer.headers["cache-control"] == "no-store"
    # With no-referrer browsers send the Origin null, and our own forms would be refused.
    assert answer.headers["referrer-policy"] == "same-origin"
    for tag in ("style", "script"):
        (text,) = re.findall(rf"<{tag}>(.*?)</{tag}>", answer.text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy


def test_the_menu_has_an_entry(viewer: "TestClient") -> None:
    plugins = viewer.get("/api/v2/plugins").json()["plugins"]
    (ours,) = [plugin for plugin in plugins if plugin["name"] == "modelyard"]
    assert ours["external_views"][0]["destination"] == "nav"
