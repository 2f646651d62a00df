"""What the hostile drill sends: some of it to the interface alone, in each run of the tests."""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Iterable

import httpx
import psutil
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from PIL import Image

from benchmarks.drills.hostile import Tally
from benchmarks.drills.hostile_bodies import Hostile, Target, hostile, mutated, targets
from benchmarks.drills.hostile_files import bomb, many_scans, tiff
from benchmarks.drills.hostile_schema import about
from benchmarks.drills.hostile_wire import broken_http, sent
from modelyard.store.records import Variant
from serving.requests.images import BadImageError, check_image
from tests.serving.fakes import Endpoint, picture
from tests.serving.live import Live

LARGE = 100_000
EACH_GROUP = 10


def models(live: Live) -> list[Target]:
    return targets(httpx.get(f"{live.url}/model-info").json())


def statuses(live: Live, cases: Iterable[Hostile]) -> dict[str, int]:
    """Send requests; return what came back by the request's name."""
    found: dict[str, int] = {}
    with httpx.Client(base_url=live.url, timeout=30) as client:
        for case in cases:
            headers = {
                key: value.encode("latin-1", "replace") for key, value in case.headers.items()
            }
            try:
                answer = client.request(case.method, case.path, content=case.body, headers=headers)
            except (httpx.InvalidURL, httpx.LocalProtocolError, httpx.TransportError):
                continue
            found[f"{case.group}: {case.name}"] = answer.status_code
    return found


def few(target: Target) -> Iterable[Hostile]:
    """The small ones of each group, spread over all of it."""
    groups: defaultdict[str, list[Hostile]] = defaultdict(list)
    for case in hostile(target):
        if len(case.body) <= LARGE:
            groups[case.group].append(case)
    for cases in groups.values():
        yield from cases[:: max(1, len(cases) // EACH_GROUP)]


# Starlette leaves the files of a form that it refuses to the collector of garbage.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize("name", ["digits", "mixed"])
def test_no_hostile_request_is_a_fault_of_the_endpoint(live: Live, name: str) -> None:
    [target] = [target for target in models(live) if target.name == name]
    found = statuses(live, few(target))
    assert len(found) > 60
    assert {case: status for case, status in found.items() if status >= 500} == {}
    assert statuses(live, [Hostile("", "honest", target.path, b"")])[": honest"] == 400


def test_no_spoiled_request_is_a_fault_of_the_endpoint(live: Live) -> None:
    for target in models(live):
        found = statuses(live, mutated(target, seed=7, count=40))
        assert {case: status for case, status in found.items() if status >= 500} == {}


def test_the_openapi_document_says_what_is_answered(live: Live) -> None:
    """Schemathesis reads the document, asks, and holds the answers against it."""
    import schemathesis
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi.checks import (
        content_type_conformance,
        response_schema_conformance,
        status_code_conformance,
    )

    checks = [
        not_a_server_error,
        content_type_conformance,
        response_schema_conformance,
        status_code_conformance,
    ]
    asked: set[str] = set()

    def ask(case: schemathesis.Case) -> None:
        case.validate_response(case.call(base_url=live.url), checks=checks)
        asked.add(case.operation.label)

    quick = settings(
        max_examples=2,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    schema = schemathesis.openapi.from_dict(about(live.app.openapi(), models(live)))
    operations = [result.ok() for result in schema.get_all_operations()]
    for operation in operations:
        seed(1)(quick(given(case=operation.as_strategy())(ask)))()
    assert len(asked) == len(operations) > 20


@pytest.mark.parametrize(
    "name", ["two lengths", "negative length", "unknown coding", "HTTP/9", "noise", "TLS"]
)
def test_what_is_not_http_is_refused_and_the_next_request_is_answered(
    live: Live, name: str
) -> None:
    [case] = [case for case in broken_http(models(live)[0]) if case.name == name]
    assert sent(live.url, case.body)[0] in {"4", "c"}
    assert httpx.get(f"{live.url}/health").status_code == 200


def test_a_file_of_ten_thousand_pages_is_refused_after_its_first() -> None:
    with pytest.raises(BadImageError, match="several pages"):
        check_image(tiff(10_000))
    assert check_image(tiff(1)) == 16


def test_a_jpeg_of_many_scans_is_refused() -> None:
    with pytest.raises(BadImageError, match="scans"):
        check_image(many_scans(50))
    assert check_image(many_scans(1)) == 64 * 64


def test_a_photograph_with_a_preview_behind_it_is_taken() -> None:
    stream = io.BytesIO()
    noise = Image.effect_noise((64, 64), 90)
    noise.save(stream, "MPO", save_all=True, append_images=[noise])
    assert check_image(stream.getvalue()) == 64 * 64


def test_an_image_without_pixels_or_of_too_many_takes_no_memory() -> None:
    before = psutil.Process().memory_info().rss
    with pytest.raises(BadImageError, match="too many pixels"):
        check_image(bomb(5_100))
    assert psutil.Process().memory_info().rss - before < 20_000_000


def test_a_drill_holds_if_nothing_failed_and_memory_stayed() -> None:
    flat = Tally(pids=[1], memory=[[100], [130], [131], [129], [130], [132]])
    assert flat.held()
    grown = Tally(pids=[1], memory=[[100], [110], [120], [130], [140], [150]])
    assert not grown.held()
    failed = Tally(pids=[])
    failed.add(Hostile("a", "b", "/", b""), "500", 0.1)
    assert not failed.held()


def test_large_images_are_checked_beside_the_event_loop(endpoint: Endpoint) -> None:

    endpoint.route(Variant(model="digits", version=1, weight=1, role="champion"))
    files = [("image", ("a.png", picture((300, 300)))), ("image", ("b.png", picture()))]
    answer = endpoint.client.post("/predict", files=files)
    assert len(answer.json()["predictions"]) == 2
