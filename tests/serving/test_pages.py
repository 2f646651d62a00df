"""The pages as HTTP carries them: what browsers may keep, load and run."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from urllib.parse import urljoin

import pytest

from serving.assets import FOLDER, load_assets
from serving.http.problems import KINDS
from tests.serving.fakes import Endpoint

PAGE = {"accept": "text/html,application/xhtml+xml"}
DEEP = "/models/flowers/predictions/x"
PAGES = ("/", "/traffic", "/predictions", "/predictions/x", DEEP, "/docs")
LINK = re.compile(r'(?:src|href)="([^"#]+)"')


@pytest.mark.parametrize("path", PAGES)
def test_a_page_loads_only_files_that_are_here(endpoint: Endpoint, path: str) -> None:
    page = endpoint.client.get(path, headers=PAGE)
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    links = LINK.findall(page.text)
    assert any(link.endswith("style.css") for link in links)
    for link in links:
        assert ":" not in link
        answer = endpoint.client.get(urljoin(path, link), headers=PAGE)
        assert answer.status_code == 200, link


@pytest.mark.parametrize("path", PAGES)
def test_a_page_runs_no_script_and_no_style_of_its_own(endpoint: Endpoint, path: str) -> None:
    page = endpoint.client.get(path, headers=PAGE)
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert not re.search(r"<style|\bstyle=|\bon\w+=|<script(?![^>]*\bsrc=)", page.text)


@pytest.mark.parametrize("path", ["/", "/traffic", "/predictions", DEEP])
def test_a_page_preloads_every_module_that_it_runs(endpoint: Endpoint, path: str) -> None:
    page = endpoint.client.get(path, headers=PAGE).text
    named = {Path(link).name for link in LINK.findall(page) if link.endswith(".js")}
    for name in named:
        imports = re.findall(r'"\./([\w-]+\.js)"', (FOLDER / name).read_text())
        assert set(imports) <= named, name


def test_every_file_belongs_to_a_page(endpoint: Endpoint) -> None:
    pages = "".join(endpoint.client.get(path, headers=PAGE).text for path in PAGES)
    assert {name for name in load_assets().files if f"/{name}" not in pages} == set()


@pytest.mark.parametrize("path", PAGES)
def test_a_page_that_is_known_is_not_sent_again(endpoint: Endpoint, path: str) -> None:
    first = endpoint.client.get(path, headers=PAGE)
    assert first.headers["cache-control"] == "no-cache"
    known = {"if-none-match": f'W/"other", {first.headers["etag"]}'}
    second = endpoint.client.get(path, headers={**PAGE, **known})
    assert (second.status_code, second.content) == (304, b"")
    assert second.headers["etag"] == first.headers["etag"]


def test_the_docs_page_names_the_address_that_was_asked(endpoint: Endpoint) -> None:
    for host in ("one.example", "two.example:8000"):
        page = endpoint.client.get("/docs", headers={"host": host}).text
        assert f"http://{host}/predict" in page


def test_files_are_kept_under_their_revision_only(endpoint: Endpoint) -> None:
    revision = load_assets().revision
    kept = endpoint.client.get(f"/static/{revision}/style.css")
    assert kept.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert kept.headers["content-type"] == "text/css; charset=utf-8"
    other = endpoint.client.get("/static/000000000000/style.css")
    assert other.content == kept.content
    assert other.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize("name", ["nothing.js", "..%2Fpages.py", "%2e%2e/pages.py"])
def test_only_known_names_are_files(endpoint: Endpoint, name: str) -> None:
    answer = endpoint.client.get(f"/static/{load_assets().revision}/{name}")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


def test_pages_hold_nothing_of_what_is_served(endpoint: Endpoint) -> None:
    served = [endpoint.client.get(path, headers=PAGE).text for path in PAGES]
    assert "flowers" not in "".join(served)
    endpoint.clear()
    assert [endpoint.client.get(path, headers=PAGE).text for path in PAGES] == served


def test_the_docs_page_describes_every_path_schema_and_refusal(endpoint: Endpoint) -> None:
    page = endpoint.client.get("/docs").text
    document = endpoint.client.get("/openapi.json").json()
    for path in document["paths"]:
        assert f" {path}</code></h2>" in page
    for name in (*document["components"]["schemas"], *KINDS):
        assert f'id="{name}"' in page
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("path", ["/", "/traffic", "/predictions", DEEP])
def test_without_scripts_a_page_points_to_the_docs(endpoint: Endpoint, path: str) -> None:
    page = endpoint.client.get(path, headers=PAGE).text
    [said] = re.findall(r"<noscript>(.+?)</noscript>", page, re.DOTALL)
    assert re.search(r'href="(\.\./)*docs', said)


def test_the_wheel_holds_pages_and_files(tmp_path: Path) -> None:
    from hatchling.builders.wheel import WheelBuilder

    root = FOLDER.parents[1]
    [wheel] = WheelBuilder(str(root)).build(directory=str(tmp_path), versions=["standard"])
    names = set(zipfile.ZipFile(wheel).namelist())
    files = [*FOLDER.iterdir(), *(FOLDER.parent / "templates").iterdir()]
    assert {str(file.relative_to(root)) for file in files} <= names
