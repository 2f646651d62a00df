"""The buttons of Modelyard's pages: who may press them, what a press does, and what it cannot do."""

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import pytest

from modelyard.errors import ServingError
from modelyard.settings import get_settings
from modelyard.spec.serve import ServeSpec
from modelyard.store.database import open_store
from modelyard.store.records import LedgerEntry, RolloutRecord, Variant
from tests.dags.pages import alert, log_in, serve, token_of

if TYPE_CHECKING:
    from httpx import Response
    from starlette.testclient import TestClient

pytestmark = [
    pytest.mark.usefixtures("migrated", "no_aliases"),
    # Airflow's, FastAPI's and Starlette's own
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]
HERE = {"Origin": "http://testserver"}
HOSTILE = "\"'><script>alert(1)</script>"


@pytest.fixture
def no_aliases(monkeypatch: pytest.MonkeyPatch) -> None:
    """MLflow is not part of these tests."""
    monkeypatch.setattr("modelyard.tracking.aliases.point", lambda *_: None)


def ask(client: "TestClient", **fields: object) -> str:
    """Open the page of a plan, and return the seal of its form."""
    answer = client.get("/modelyard/plan", params={"model": "toy", **fields})
    assert answer.status_code == 200, answer.text
    (token,) = re.findall(r'name="token" value="([^"]+)"', answer.text)
    return token


def press(
    client: "TestClient", token: str, headers: Mapping[str, str] = HERE, **fields: str
) -> "Response":
    return client.post("/modelyard/act", data={"token": token, **fields}, headers=dict(headers))


def served() -> dict[int, tuple[str, float]]:
    with open_store(get_settings().database_url) as store:
        return {one.version: (one.role, one.weight) for one in store.variants("toy")}


def newest() -> LedgerEntry:
    with open_store(get_settings().database_url) as store:
        return store.ledger("toy", limit=1)[0]


def wait_for_approval() -> None:
    """Let version 2 wait for approval with a tenth of the traffic."""
    variants = [
        Variant(model="toy", version=1, weight=0.9, role="champion"),
        Variant(model="toy", version=2, weight=0.1, role="challenger"),
    ]
    after = {"1": 0.9, "2": 0.1}
    entry = LedgerEntry(
        model="toy", action="wait", before={}, after=after, reason="w", by="steward"
    )
    rules = ServeSpec.model_validate({"rollout": {"canary": [0.1], "approve": True}})
    record = RolloutRecord(
        model="toy",
        version=2,
        status="waiting",
        phase=entry.id,
        policy=rules.model_dump(mode="json"),
        by="run",
    )
    with open_store(get_settings().database_url) as store:
        store.move("toy", variants, entry, record)


def test_a_plan_is_shown_and_changes_nothing(admin: "TestClient") -> None:
    serve("toy", champion=1, challenger=2)
    page = admin.get("/modelyard/plan?model=toy&action=promote").text
    assert "Promote the challenger of toy" in page
    assert "champion, 100 %" in page
    assert "Nothing has been done yet" in page
    assert served() == {1: ("champion", 1.0), 2: ("challenger", 0.0)}


def test_what_was_confirmed_is_done_in_the_users_name(admin: "TestClient") -> None:
    serve("toy", champion=1, challenger=2)
    answer = press(admin, ask(admin, action="promote"), why="better on Mondays")
    assert answer.status_code == 200
    assert "Done: promote" in answer.text
    assert served() == {1: ("warm", 0.0), 2: ("champion", 1.0)}
    entry = newest()
    assert (entry.by, entry.reason) == ("ada", "better on Mondays")


def test_traffic_is_divided_as_confirmed(admin: "TestClient") -> None:
    serve("toy", champion=1, challenger=2)
    token = ask(admin, action="split", experiment="e1", **{"weight.1": 60, "weight.2": 20})
    # What else the form says does not count: only what was sealed does.
    press(admin, token, action="rollback", **{"weight.1": "1"})
    assert served() == {1: ("champion", 0.75), 2: ("challenger", 0.25)}


def test_what_is_so_already_is_told(admin: "TestClient") -> None:
    serve("toy", champion=1)
    answer = admin.get("/modelyard/plan?model=toy&action=promote&version=1")
    assert "Nothing to change" in answer.text
    assert "token" not in answer.text


@pytest.mark.parametrize(
    ("share", "after"),
    [
        (1, {1: ("warm", 0.0), 2: ("champion", 1.0)}),
        (0.5, {1: ("champion", 0.5), 2: ("challenger", 0.5)}),
    ],
    ids=["whole", "half"],
)
def test_a_waiting_challenger_is_approved(
    admin: "TestClient", share: float, after: dict[int, tuple[str, float]]
) -> None:
    wait_for_approval()
    assert "Approve version 2" in admin.get("/modelyard/models").text
    token = ask(admin, action="approve", share=share)
    assert press(admin, token).status_code == 200
    assert served() == after
    assert newest().reason == "approved by ada"


def test_a_waiting_challenger_is_rejected(admin: "TestClient") -> None:
    wait_for_approval()
    press(admin, ask(admin, action="reject"), why="no")
    assert served()[1] == ("champion", 1.0)
    assert 2 not in served()
    assert newest().reason == "rejected by ada: no"


def test_who_may_only_look_sees_no_buttons(viewer: "TestClient") -> None:
    wait_for_approval()
    with open_store(get_settings().database_url) as store:
        store.change_alerts("toy", lambda _: ([alert()], ()))
    for path in ("models", "drift?model=toy"):
        page = viewer.get(f"/modelyard/{path}").text
        assert "size drifted" in page
        assert 'method="post"' not in page
        assert "/modelyard/plan" not in page


@pytest.mark.parametrize(
    "action", ["promote", "rollback", "split&weight.1=1", "approve", "reject"], ids=str
)
def test_who_may_only_look_gets_no_plan(viewer: "TestClient", action: str) -> None:
    wait_for_approval()
    answer = viewer.get(f"/modelyard/plan?model=toy&action={action}")
    assert answer.status_code == 403
    assert "does not allow it" in answer.text


def test_a_press_without_the_right_changes_nothing(
    admin: "TestClient", monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also with a seal of one's own, made when the role still allowed it."""
    serve("toy", champion=1, challenger=2)
    before = served()
    token = ask(admin, action="promote")
    monkeypatch.setattr("modelyard_ui.visitor._may", lambda *_: False)
    answer = press(admin, token)
    assert answer.status_code == 403
    assert "does not allow it" in answer.text
    assert served() == before


def test_another_users_seal_is_of_no_use(server: "TestClient", admin: "TestClient") -> None:
    serve("toy", champion=1, challenger=2)
    token = ask(admin, action="promote")
    log_in(server, "vic")
    assert press(server, token).status_code == 403
    assert served()[1] == ("champion", 1.0)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": "http://evil.example"},
        {"Origin": "http://testserver.evil.example"},
        {"Origin": "http://testserver:8000"},
        {"Origin": "http://[testserver"},
        {"Referer": "http://testserver/modelyard/models"},
        {"Origin": "http://testserver", "Sec-Fetch-Site": "cross-site"},
        {"Origin": "http://testserver", "Sec-Fetch-Site": "same-site"},
        {"Origin": "http://testserver", "Sec-Fetch-Site": "none"},
    ],
    ids=lambda headers: " ".join(f"{key}={value}" for key, value in headers.items()) or "nothing",
)
def test_a_press_from_another_site_changes_nothing(
    server: "TestClient", admin: "TestClient", headers: dict[str, str]
) -> None:
    serve("toy", champion=1, challenger=2)
    token = ask(admin, action="promote")
    authorization = server.headers.pop("Authorization")
    server.cookies.set("_token", token_of(server, "ada"))
    before = served()
    answer = press(server, token, headers)
    server.headers["Authorization"] = authorization
    assert answer.status_code == 403
    assert served() == before


def test_a_press_of_our_own_page_is_known_by_sec_fetch_site(admin: "TestClient") -> None:
    serve("toy", champion=1, challenger=2)
    token = ask(admin, action="promote")
    authorization = admin.headers.pop("Authorization")
    admin.cookies.set("_token", token_of(admin, "ada"))
    answer = press(admin, token, {"Sec-Fetch-Site": "same-origin"})
    admin.headers["Authorization"] = authorization
    assert answer.status_code == 200


def _other_purpose(client: "TestClient") -> str:
    with open_store(get_settings().database_url) as store:
        store.change_alerts("toy", lambda _: ([alert()], ()))
    page = client.get("/modelyard/drift?model=toy").text
    return str(re.findall(r'name="token" value="([^"]+)"', page)[0])


@pytest.mark.parametrize(
    "forge",
    [
        lambda _client, _token: "",
        lambda _client, token: token[:-2],
        lambda _client, token: "A" + token,
        lambda client, _token: _other_purpose(client),
    ],
    ids=["none", "cut", "changed", "of another form"],
)
def test_a_press_without_the_seal_of_a_plan_changes_nothing(
    admin: "TestClient", forge: Callable[["TestClient", str], str]
) -> None:
    serve("toy", champion=1, challenger=2)
    before = served()
    token = ask(admin, action="promote")
    assert press(admin, forge(admin, token)).status_code == 403
    assert served() == before


def test_an_old_plan_is_refused(admin: "TestClient", monkeypatch: pytest.MonkeyPatch) -> None:
    serve("toy", champion=1, challenger=2)
    token = ask(admin, action="promote")
    monkeypatch.setattr("modelyard_ui.confirm.PLAN_SECONDS", -1)
    answer = press(admin, token)
    assert answer.status_code == 403
    assert "too old" in answer.text
    assert served()[1] == ("champion", 1.0)


def test_a_plan_for_traffic_that_has_moved_since_is_refused(admin: "TestClient") -> None:
    serve("toy", champion=1, challenger=2)
    token = ask(admin, action="promote")
    serve("toy", champion=1, challenger=3)
    answer = press(admin, token)
    assert answer.status_code == 409
    assert "has moved since" in answer.text
    assert served()[1] == ("champion", 1.0)


def test_a_plan_is_carried_out_once(admin: "TestClient") -> None:
    serve("toy", champion=1, challenger=2)
    token = ask(admin, action="promote")
    assert press(admin, token).status_code == 200
    assert press(admin, token).status_code == 409


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"action": "rollback"}, "neither a challenger nor a former champion"),
        ({"action": "promote"}, "say which version to promote"),
        ({"action": "promote", "version": "9"}, "has no version 9"),
        ({"action": "promote", "version": "-1"}, "a version is a number from 1"),
        ({"action": "promote", "version": "1" * 30}, "a version is a number from 1"),
        ({"action": "promote", "version": HOSTILE}, "a version is a number from 1"),
        ({"action": "split"}, "weights must be 0 or more"),
        ({"action": "split", "weight.1": "nan"}, "a share is a number of 0 or more"),
        ({"action": "split", "weight.1": "-1"}, "a share is a number of 0 or more"),
        ({"action": "split", f"weight.{HOSTILE}": "1"}, "a version is a number from 1"),
        ({"action": "approve"}, "no challenger of toy waits"),
        ({"action": "reject"}, "no challenger of toy waits"),
        ({"action": HOSTILE}, "it takes a model, and an action"),
        ({"action": "promote", "model": HOSTILE}, "that is served"),
        ({}, "it takes a model, and an action"),
    ],
    ids=lambda value: "-".join(value.values())[:30] if isinstance(value, dict) else "",
)
def test_what_cannot_be_done_is_refused_in_words(
    admin: "TestClient", query: dict[str, str], words: str
) -> None:
    serve("toy", champion=1)
    answer = admin.get("/modelyard/plan", params={"model": "toy", **query})
    assert answer.status_code == 409
    assert words in answer.text
    assert "<script>alert" not in answer.text


def test_a_share_that_is_none_is_refused(admin: "TestClient") -> None:
    wait_for_approval()
    answer = admin.get("/modelyard/plan?model=toy&action=approve&share=2")
    assert answer.status_code == 409
    assert "at most 1" in answer.text


def test_what_goes_wrong_while_acting_is_told(
    admin: "TestClient", monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        message = "Ray's dashboard does not answer"
        raise ServingError(message, hint="see make status")

    serve("toy", champion=1, challenger=2)
    token = ask(admin, action="promote")
    monkeypatch.setattr("modelyard.serve_control.promote", away)
    answer = press(admin, token)
    assert answer.status_code == 409
    assert "Ray&#39;s dashboard does not answer (see make status)" in answer.text


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"token=" + b"x" * 20_000, "application/x-www-form-urlencoded", 413),
        (b"&".join(b"a=1" for _ in range(200)), "application/x-www-form-urlencoded", 400),
        (b"token=\xff\xfe", "application/x-www-form-urlencoded", 400),
        (b'{"token": "x"}', "application/json", 415),
        (b"token=x", "text/plain", 415),
        (b"", "application/x-www-form-urlencoded", 403),
    ],
    ids=["large", "many fields", "no text", "json", "plain", "empty"],
)
def test_what_is_no_form_is_refused(
    admin: "TestClient", content: bytes, kind: str, status: int
) -> None:
    headers = {**HERE, "Content-Type": kind}
    assert admin.post("/modelyard/act", content=content, headers=headers).status_code == status


@pytest.mark.parametrize("path", ["act", "acknowledge"])
def test_nothing_acts_by_a_get(admin: "TestClient", path: str) -> None:
    serve("toy", champion=1, challenger=2)
    token = ask(admin, action="promote")
    answer = admin.get(f"/modelyard/{path}", params={"token": token}, follow_redirects=False)
    assert answer.headers["location"] == "/modelyard/models"
    assert served()[1] == ("champion", 1.0)


@pytest.mark.parametrize("path", ["act", "acknowledge"])
def test_who_is_not_logged_in_cannot_act(server: "TestClient", path: str) -> None:
    assert server.post(f"/modelyard/{path}", data={"token": "x"}, headers=HERE).status_code == 401


def _note(client: "TestClient", identity: str, **more: str) -> "Response":
    page = client.get("/modelyard/drift?model=toy").text
    (token,) = re.findall(r'name="token" value="([^"]+)"', page)
    assert identity in page
    fields = {"token": token, "comment": " known since Monday ", **more}
    return client.post("/modelyard/acknowledge", data=fields, headers=HERE, follow_redirects=False)


def test_an_alert_is_taken_note_of(admin: "TestClient") -> None:
    serve("toy")
    opened = alert()
    with open_store(get_settings().database_url) as store:
        store.change_alerts("toy", lambda _: ([opened], ()))
    answer = _note(admin, opened.id)
    assert answer.status_code == 303
    assert answer.headers["location"] == f"/modelyard/drift?model=toy#alert-{opened.id}"
    with open_store(get_settings().database_url) as store:
        found = store.alert(opened.id)
    assert found is not None
    assert (found.acknowledged_by, found.comment) == ("ada", "known since Monday")
    assert "known since Monday" in admin.get("/modelyard/drift?model=toy").text


def test_an_alert_that_is_gone_cannot_be_taken_note_of(
    admin: "TestClient", monkeypatch: pytest.MonkeyPatch
) -> None:
    serve("toy")
    opened = alert()
    with open_store(get_settings().database_url) as store:
        store.change_alerts("toy", lambda _: ([opened], ()))
    monkeypatch.setattr("modelyard.store.database.Store.acknowledge", lambda *_: None)
    assert _note(admin, opened.id).status_code == 404


def test_who_may_only_look_takes_no_note(
    server: "TestClient", admin: "TestClient", monkeypatch: pytest.MonkeyPatch
) -> None:
    serve("toy")
    opened = alert()
    with open_store(get_settings().database_url) as store:
        store.change_alerts("toy", lambda _: ([opened], ()))
    page = admin.get("/modelyard/drift?model=toy").text
    (token,) = re.findall(r'name="token" value="([^"]+)"', page)
    monkeypatch.setattr("modelyard_ui.visitor._may", lambda *_: False)
    answer = server.post("/modelyard/acknowledge", data={"token": token}, headers=HERE)
    assert answer.status_code == 403
    with open_store(get_settings().database_url) as store:
        found = store.alert(opened.id)
    assert found is not None
    assert found.acknowledged is None
