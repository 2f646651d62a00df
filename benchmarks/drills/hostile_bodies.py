"""Requests that no honest client sends, made for the models that an endpoint serves."""

from __future__ import annotations

import base64
import json
import random
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.drills.hostile_files import hostile_images, picture

JSON = "application/json"
DEEP = 100_000
LONG = 9_000_000


@dataclass(frozen=True, slots=True)
class Hostile:
    """One request."""

    group: str
    name: str
    path: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    method: str = "POST"


@dataclass(frozen=True, slots=True)
class Target:
    """A model, and its inputs as /model-info says them."""

    name: str
    inputs: Sequence[Mapping[str, Any]]

    @property
    def path(self) -> str:
        """Where it predicts."""
        return f"/models/{self.name}/predict"

    def row(self) -> dict[str, Any]:
        """An honest row."""
        return {item["column"]: _honest(item) for item in self.inputs}


def targets(model_info: Mapping[str, Any]) -> list[Target]:
    """Read an endpoint's /model-info."""
    found = []
    for model in model_info["models"]:
        signatures = [one["signature"] for one in model["variants"] if one.get("signature")]
        if signatures:
            found.append(Target(model["name"], signatures[0]["inputs"]))
    return found


def hostile(target: Target) -> Iterator[Hostile]:
    """All requests that were thought of, for one model."""
    for make in (_syntax, _shapes, _values, _images, _forms, _heads, _feedback, _tables):
        yield from make(target)
    yield from _tensors(target)


def mutated(target: Target, seed: int, count: int) -> Iterator[Hostile]:
    """Honest requests with something changed by chance."""
    chance = random.Random(seed)  # noqa: S311 - hostile, not secret
    row = target.row()
    honest = [
        (target.path, JSON, rows_of(row)),
        (target.path, JSON, rows_of(row, row)),
        (f"/models/{target.name}/invocations", JSON, _dump({"dataframe_records": [row]})),
        (f"/v2/models/{target.name}/infer", JSON, _dump(_infer(row))),
        (f"/models/{target.name}/feedback", JSON, _dump({"labels": [{"id": "0" * 32}]})),
    ]
    words = (
        b"null",
        b"[]",
        b"{}",
        b'""',
        b"1e999",
        b"-1",
        b"true",
        b"\\u0000",
        b'"',
        b"\xff",
        b"NaN",
    )
    for number in range(count):
        path, kind, body = chance.choice(honest)
        if chance.random() < 0.5:  # noqa: PLR2004 - half of each
            body = _dump(_other(json.loads(body), chance))
        else:
            body = _spoiled(body, chance, words)
        yield Hostile("mutated", f"mutation {number}", path, body, {"content-type": kind})


def _honest(item: Mapping[str, Any]) -> Any:
    if item.get("categories"):
        return item["categories"][0]
    values = {"number": 1.5, "timeseries": [0.1, 0.2], "vector": [0.1, 0.2], "date": "2026-01-31"}
    if item["type"] == "image":
        return base64.b64encode(picture()).decode()
    return values.get(item["type"], "text")


def _dump(value: Any) -> bytes:
    return json.dumps(value).encode()


def rows_of(*rows: Any) -> bytes:
    """The body of a request."""
    return _dump({"rows": list(rows)})


def _syntax(target: Target) -> Iterator[Hostile]:
    row = json.dumps(target.row())
    bodies: dict[str, bytes] = {
        "nothing": b"",
        "blanks": b" " * LONG,
        "one brace": b"{",
        "NUL": b"\0",
        "deep lists": b"[" * DEEP,
        "deep lists, closed": b"[" * DEEP + b"]" * DEEP,
        "deep objects": b'{"a":' * DEEP,
        "deep in a row": b'{"rows": [{"a": ' + b"[" * 900 + b"]" * 900 + b"}]}",
        "deep with NaN": b'{"rows": ' + b"[" * DEEP + b"NaN",
        "a million lists": b'{"rows": [' + b"[]," * 1_000_000 + b"[]]}",
        "a million objects": b'{"rows": [' + b"{}," * 1_000_000 + b"{}]}",
        "four million numbers": b'{"rows": [{"a": [' + b"1," * 4_000_000 + b"1]}]}",
        "a million keys": b'{"rows": [{'
        + b",".join(b'"%d":0' % at for at in range(10**6))
        + b"}]}",
        "double keys": b'{"rows": [], "rows": [%s]}' % row.encode(),
        "a key a thousand times": b'{"rows": [{' + b",".join([b'"a":1'] * 1000) + b"}]}",
        "long number": b'{"rows": [{"a": ' + b"9" * 100_000 + b"}]}",
        "long number and NaN": b'{"rows": [{"a": ' + b"9" * 4000 + b', "b": NaN}]}',
        "large exponent": b'{"rows": [{"a": 1e999999999}]}',
        "minus zero": b'{"rows": [{"a": -0}]}',
        "lone surrogate": b'{"rows": [{"a": "\\ud800"}]}',
        "lone surrogate and NaN": b'{"rows": [{"\\ud800": NaN}]}',
        "lone surrogate beside NaN": b'{"rows": [{"a": "\\ud800 NaN"}]}',
        "not UTF-8": b'{"rows": [{"a": "\xff\xfe"}]}',
        "overlong UTF-8": b'{"rows": [{"a": "\xc0\x80"}]}',
        "UTF-16": f'{{"rows": [{row}]}}'.encode("utf-16"),
        "UTF-32": f'{{"rows": [{row}]}}'.encode("utf-32"),
        "UTF-7": f'{{"rows": [{row}]}}'.encode("utf-7"),
        "BOM": b"\xef\xbb\xbf" + f'{{"rows": [{row}]}}'.encode(),
        "two documents": f'{{"rows": [{row}]}}'.encode() * 2,
        "comments": b'/* a */ {"rows": []}',
        "single quotes": b"{'rows': []}",
        "trailing comma": b'{"rows": [1,]}',
    }
    for name, body in bodies.items():
        yield Hostile("syntax", name, target.path, body, {"content-type": JSON})
        if len(body) < 1_000_000:  # noqa: PLR2004 - the large ones once
            for path in (f"/models/{target.name}/invocations", f"/v2/models/{target.name}/infer"):
                yield Hostile("syntax", name, path, body, {"content-type": JSON})


def _shapes(target: Target) -> Iterator[Hostile]:
    row = target.row()
    documents: dict[str, Any] = {
        **{f"a bare {type(value).__name__}": value for value in (None, 1, "a", [], {}, True)},
        **{f"rows is {value!r:.20}": {"rows": value} for value in (None, 1, "a", {}, [None], [[]])},
        "1001 rows": {"rows": [{}] * 1001},
        "100,000 rows": {"rows": [{}] * 100_000},
        "something besides": {"rows": [row], "model": "x"},
        "10,000 wrong names": {"rows": [{f"{at}{'x' * 300}": 1 for at in range(10_000)}]},
        "1000 rows of wrong names": {"rows": [{f"wrong{at}": 1 for at in range(50)}] * 1000},
        "empty name": {"rows": [{"": 1}]},
        "name with NUL": {"rows": [{"a\0b": 1}]},
        "prototype": {"rows": [{"__proto__": {"a": 1}, "constructor": 1, "__class__": 1}]},
        "empty rows": {"rows": [{}]},
    }
    for name, document in documents.items():
        yield Hostile("shapes", name, target.path, _dump(document), {"content-type": JSON})


ODD: Sequence[Any] = (
    None, True, False, 0, -1, 2**63, 2**64, -(2**63), 10**30, 1e38, 1e39, 1e308, 5e-324, 0.1, -0.0,
    "", " ", "\0", "a\0b", "nan", "1e5", "١٢", "1_000", "\u202e", "\ufeff", "\U0001f4a9" * 100, "a" * 1001,
    "a" * LONG, "' OR 1=1 --", "<script>", "../../etc/passwd", "/etc/passwd", "file:///etc/passwd",
    "http://127.0.0.1:9/", "{{7*7}}", "${jndi:ldap://a}", "%s%n", "data:image/png;base64,", "data:,",
    [], [[]], [None], [1, "a"], [1e400], ["a"] * 10_000, [0.5] * 200_000, {}, {"a": {}}, {"b64": "a"},
    "2026-13-45", "9999999-01-01", "0" * 1000,
)  # fmt: skip


def _values(target: Target) -> Iterator[Hostile]:
    row = target.row()
    for item in target.inputs[:3]:
        for at, value in enumerate(ODD):
            body = rows_of({**row, item["column"]: value})
            name = f"{item['type']} is {value!r:.30} ({at})"
            yield Hostile("values", name, target.path, body, {"content-type": JSON})
        for value in ("NaN", "Infinity", "-Infinity"):
            text = json.dumps({**row, item["column"]: "@"}).replace('"@"', value)
            body = f'{{"rows": [{text}]}}'.encode()
            yield Hostile("values", value, target.path, body, {"content-type": JSON})
    for item in target.inputs:
        without = {name: value for name, value in row.items() if name != item["column"]}
        yield Hostile(
            "values", f"no {item['column']}", target.path, rows_of(without), {"content-type": JSON}
        )


def _images(target: Target) -> Iterator[Hostile]:
    columns = [item["column"] for item in target.inputs if item["type"] == "image"]
    if not columns:
        return
    row = target.row()
    for name, data in hostile_images():
        text = base64.b64encode(data).decode()
        body = rows_of({**row, columns[0]: text})
        yield Hostile("images", name, target.path, body, {"content-type": JSON})
        yield Hostile("uploads", name, target.path, *multipart([(columns[0], data)]))
    whole = base64.b64encode(picture()).decode()
    for name, text in (
        ("no padding", whole.rstrip("=")),
        ("too much padding", whole + "===="),
        ("other alphabet", whole.replace("+", "-").replace("/", "_") + "-_"),
        ("blanks", " ".join(whole)),
        ("not ASCII", whole + "é"),
        ("10 MB of lines", "\n" * LONG),
    ):
        body = rows_of({**row, columns[0]: text})
        yield Hostile("images", f"base64: {name}", target.path, body, {"content-type": JSON})
    many = [{**row, columns[0]: whole}] * 1000
    yield Hostile("images", "1000 images", target.path, rows_of(*many), {"content-type": JSON})


def multipart(
    parts: Sequence[tuple[str, bytes]], boundary: str = "xyz", head: str = ""
) -> tuple[bytes, dict[str, str]]:
    """A form of files, and its headers."""
    lines = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; filename="a"\r\n{head}\r\n'.encode()
        + data
        + b"\r\n"
        for name, data in parts
    ]
    body = b"".join([*lines, f"--{boundary}--\r\n".encode()])
    return body, {"content-type": f"multipart/form-data; boundary={boundary}"}


def _forms(target: Target) -> Iterator[Hostile]:
    column = target.inputs[0]["column"]
    whole, head = multipart([(column, b"1.5")])
    form = "multipart/form-data"

    def case(name: str, body: bytes, kind: str = head["content-type"]) -> Hostile:
        return Hostile("forms", name, target.path, body, {"content-type": kind})

    yield case("no boundary", whole, form)
    yield case("empty boundary", whole, f"{form}; boundary=")
    yield case("another boundary", whole, f"{form}; boundary=abc")
    yield case("long boundary", whole, f"{form}; boundary={'a' * 4000}")
    yield case("boundary not ASCII", whole, f"{form}; boundary=\xe9")
    yield case("cut off", whole[:-10])
    yield case("empty", b"")
    yield case("10,000 fields", multipart([(f"f{at}", b"1") for at in range(10_000)])[0])
    yield case("10,000 times one field", multipart([(column, b"1")] * 10_000)[0])
    yield case("10 MB field", multipart([(column, b"1" * LONG)])[0])
    yield case("long name", multipart([("n" * 1_000_000, b"1")])[0])
    yield case("name with NUL", multipart([("a\0b", b"1")])[0])
    yield case("endless part head", multipart([(column, b"1")], head="X: " + "a" * LONG)[0])
    heads = "".join(f"X-{at}: a\r\n" for at in range(100_000))
    yield case("100,000 part heads", multipart([(column, b"1")], head=heads)[0])
    yield case("no name", b"--xyz\r\nContent-Disposition: form-data\r\n\r\n1\r\n--xyz--\r\n")
    yield case("no disposition", b"--xyz\r\n\r\n1\r\n--xyz--\r\n")
    yield case("only boundaries", b"--xyz\r\n" * 500_000)
    yield case("line ends", b"\r\n" * 4_000_000)
    yield case("dashes", b"-" * LONG)
    yield case(
        "charset UTF-7", whole.replace(b"1.5", b"+2AA-"), head["content-type"] + "; charset=utf-7"
    )
    yield case("charset zlib", whole, head["content-type"] + "; charset=zlib")
    urlencoded = "application/x-www-form-urlencoded"
    yield case("million pairs", b"a=1&" * 1_000_000, urlencoded)
    yield case("million ampersands", b"&" * LONG, urlencoded)
    yield case("percent signs", b"%" * 1_000_000, urlencoded)
    yield case("percent not UTF-8", column.encode() + b"=%ff%fe%00", urlencoded)
    yield case("long key", b"a" * LONG, urlencoded)
    yield case("NUL", column.encode() + b"=%00", urlencoded)


def _heads(target: Target) -> Iterator[Hostile]:
    body = rows_of(target.row())

    def case(
        name: str, path: str = "", body: bytes = body, method: str = "POST", **head: str
    ) -> Hostile:
        headers = {"content-type": JSON, **{key.replace("_", "-"): to for key, to in head.items()}}
        return Hostile("heads", name, path or target.path, body, headers, method)

    packed = zlib.compress(b" " * 50_000_000, 9)
    yield case("deflate bomb", body=packed, content_encoding="deflate")
    yield case("says gzip", content_encoding="gzip")
    yield case("says br", content_encoding="br, gzip")
    for kind in ("", ";", "text/plain", "application/xml", "application/x-python-pickle", "a" * 5000,
                 "application/json; charset=utf-16", "application/json; charset=utf-7", "*/*", "\xff"):  # fmt: skip
        yield case(f"content type {kind:.40}", content_type=kind)
    yield case("long sticky key", x_sticky_key="k" * 5000)
    yield case("odd request id", x_request_id="\x01\xff'\"")
    yield case("odd accept", path="/metrics", method="GET", accept="*/*;q=nan, a" + ",b" * 1000)
    for query in ("probabilities=perhaps", "mask=gif", "mask=", "a=1", "probabilities=1&probabilities=x",
                  "%00=%00", "%ff", "&" * 1000, "probabilities=" + "1" * 5000):  # fmt: skip
        yield case(f"query {query:.40}", path=f"{target.path}?{query}")
    for name in (
        "%00",
        "%ff",
        "..%2f..%2fetc",
        "a" * 5000,
        "%F0%9F%92%A9",
        "'",
        "%0d%0aX: 1",
        "None",
    ):
        for path in (
            f"/models/{name}/predict",
            f"/v2/models/{name}/infer",
            f"/models/{name}/feedback",
        ):
            yield case(f"model {name:.20}", path=path)
        yield case(f"model {name:.20}", path=f"/models/{name}", method="GET")
        yield case(f"version {name:.20}", path=f"/v2/models/{target.name}/versions/{name}/infer")
        yield case(f"alerts {name:.20}", path=f"/alerts?model={name}", method="GET")
        yield case(f"static {name:.20}", path=f"/static/{name}/{name}", method="GET")
    for method in (
        "GET",
        "PUT",
        "PATCH",
        "DELETE",
        "OPTIONS",
        "HEAD",
        "TRACE",
        "PROPFIND",
        "A" * 100,
    ):
        yield case(f"method {method:.20}", method=method)
    yield case("body too large", body=b" " * 11_000_000)


def _feedback(target: Target) -> Iterator[Hostile]:
    known = "0" * 32
    entries: list[Any] = [None, 1, "a", [], {}, {"id": 1}, {"id": known}, {"id": "a\0", "value": 1}]
    entries += [{"id": "x" * LONG, "value": 1}, {"id": known, "value": 1, "more": 2}]
    entries += [{"id": known, "outputs": {}}, {"id": known, "outputs": [1]}, {"value": 1}]
    entries += [{"id": known, "outputs": {f"o{at}": 1 for at in range(5000)}}]
    entries += [{"id": known, "output": odd, "value": 1} for odd in ("", "\0", 1, None, "x" * 1000)]
    entries += [{"id": known, "value": value} for value in ODD]
    documents = [{"labels": [entry]} for entry in entries]
    documents += [{"labels": one} for one in (None, 1, {}, [], [{}] * 1001, [{}] * 100_000)]
    for at, document in enumerate(documents):
        path, body = f"/models/{target.name}/feedback", _dump(document)
        yield Hostile("feedback", f"feedback {at}", path, body, {"content-type": JSON})


def _tables(target: Target) -> Iterator[Hostile]:
    row, path = target.row(), f"/models/{target.name}/invocations"
    columns, values = list(row), list(row.values())
    documents: list[Any] = [None, [], {}, {"instances": []}, {"inputs": {}}, {"inputs": {"a": 1}}]
    documents += [{"instances": [1, {}]}, {"instances": [[]]}, {"instances": [[[]]]}, {"a": 1}]
    documents += [{"inputs": {"a": [1], "b": [1, 2]}}, {"inputs": "a"}, {"inputs": {"a": {}}}]
    documents += [{"instances": [row], "inputs": [row]}, {"instances": [row], "params": 1}]
    documents += [{"instances": [row], "params": {"a": 1}}, {"dataframe_records": {}}]
    documents += [{"instances": [row], "params": {"mask": {}, "probabilities": []}}]
    documents += [
        {"dataframe_split": {"columns": columns, "data": data}}
        for data in (None, [values[:-1]], [1], [[]], [values] * 1001)
    ]
    documents += [
        {"dataframe_split": {"columns": names, "data": [values]}}
        for names in (None, [], [1], columns * 2, ["\0"])
    ]
    for at, document in enumerate(documents):
        yield Hostile("tables", f"document {at}", path, _dump(document), {"content-type": JSON})
    head = ",".join(f'"{name}"' for name in columns).encode()
    for name, body in (
        ("nothing", b""),
        ("a head", head),
        ("two heads", head + b"," + head + b"\n1,1"),
        ("short lines", head + b"\n\n,\n" + b",\n" * 1000),
        ("open quote", head + b'\n"' + b"a" * LONG),
        ("long cell", head + b"\n" + b"a" * LONG),
        ("commas", b"," * LONG),
        ("lines", b"\n" * LONG),
        ("million lines", head + b"\n" + b"1\n" * 1_000_000),
        ("NUL", head + b"\n\0"),
        ("not UTF-8", b"\xff\xfe"),
        ("carriage returns", head + b"\r1\r\r\n2\r"),
        ("formula", head + b"\n=cmd()"),
    ):
        yield Hostile("tables", f"CSV: {name}", path, body, {"content-type": "text/csv"})


def _infer(row: Mapping[str, Any]) -> dict[str, Any]:
    return {"id": "1", "inputs": [_tensor(name, value) for name, value in row.items()]}


def _tensor(name: str, value: Any) -> dict[str, Any]:
    if isinstance(value, list):
        return {"name": name, "shape": [1, len(value)], "datatype": "FP64", "data": value}
    kind = "BYTES" if isinstance(value, str) else "FP64"
    return {"name": name, "shape": [1], "datatype": kind, "data": [value]}


def _tensors(target: Target) -> Iterator[Hostile]:
    path, row = f"/v2/models/{target.name}/infer", target.row()
    whole = _infer(row)
    first = whole["inputs"][0]

    def case(name: str, body: bytes, **head: str) -> Hostile:
        headers = {"content-type": JSON, **{key.replace("_", "-"): to for key, to in head.items()}}
        return Hostile("tensors", name, path, body, headers)

    changes: list[dict[str, Any]] = [{"shape": shape} for shape in (
        None, [], [-1], [0], [2], [1, 0], [10**9, 10**9], [2**70], [1] * 100, ["1"], [1.0], [True], "1",
    )]  # fmt: skip
    changes += [
        {"datatype": kind} for kind in (None, 1, "", "FP8", "STRING", "BOOL", "INT64", "FP16")
    ]
    changes += [
        {"data": data} for data in (None, 1, "a", [], [[]], [[[1]]], [{}], [1, [1]], [None])
    ]
    changes += [{"name": name} for name in (None, 1, "", "\0", "x" * 10_000, "other")]
    changes += [
        {"parameters": {"binary_data_size": size}} for size in (-1, 1, 2**40, True, "1", 0.5)
    ]
    changes += [{"parameters": {"shared_memory_region": "a"}}, {"parameters": 1}]
    for change in changes:
        document = {**whole, "inputs": [{**first, **change}, *whole["inputs"][1:]]}
        yield case(f"{change!r:.60}", _dump(document))
    for document in ({**whole, "inputs": [first, first]}, {**whole, "inputs": 1}, {**whole, "inputs": [1]},
                     {**whole, "id": 1}, {**whole, "outputs": 1}, {**whole, "outputs": [{"name": "x"}]},
                     {**whole, "outputs": [1]}, {**whole, "parameters": 1}):  # fmt: skip
        yield case("document", _dump(document))
    yield from _binary_tensors(case, first["name"])


def _binary_tensors(case: Any, name: str) -> Iterator[Hostile]:
    length = "Inference-Header-Content-Length"
    for datatype in ("BYTES", "FP32", "FP16", "BOOL", "INT64", "UINT8"):
        for data in (b"", b"\0", b"\xff" * 4, b"\xff" * 8, struct.pack("<I", 2**32 - 1) + b"a", b"\0" * 9_000_000,
                     struct.pack("<f", float("nan")), struct.pack("<d", float("inf"))):  # fmt: skip
            tensor = {"name": name, "shape": [1], "datatype": datatype}
            tensor["parameters"] = {"binary_data_size": len(data)}
            head = _dump({"inputs": [tensor]})
            yield case(f"{datatype} of {len(data)} bytes", head + data, **{length: str(len(head))})
    for said in ("-1", "99999999", "a", "", "1e3", "٣", "9" * 1000):
        yield case(
            f"header length {said:.20}",
            b'{"inputs": []}',
            **{length: said.encode().decode("latin-1")},
        )


def _spoiled(body: bytes, chance: random.Random, words: Sequence[bytes]) -> bytes:
    spoiled = bytearray(body)
    for _ in range(chance.choice((1, 1, 2, 8))):
        at = chance.randrange(len(spoiled) + 1)
        match chance.randrange(4):
            case 0:
                del spoiled[at : at + chance.choice((1, 5, 50))]
            case 1:
                spoiled[at:at] = chance.choice(words)
            case 2:
                spoiled[at : at + 1] = bytes([chance.randrange(256)])
            case _:
                spoiled[at:at] = spoiled[at : at + 20]
        if not spoiled:
            break
    return bytes(spoiled)


def _other(value: Any, chance: random.Random) -> Any:
    """A document with one place changed into something else."""
    if isinstance(value, dict) and value and chance.random() < 0.85:  # noqa: PLR2004
        name = chance.choice(list(value))
        if chance.random() < 0.1:  # noqa: PLR2004
            return {key: item for key, item in value.items() if key != name}
        return {**value, name: _other(value[name], chance)}
    if isinstance(value, list) and value and chance.random() < 0.85:  # noqa: PLR2004
        at = chance.randrange(len(value))
        return [*value[:at], _other(value[at], chance), *value[at + 1 :]]
    odd = chance.choice(ODD)
    return odd if not isinstance(odd, str) or len(odd) < 10_000 else odd[:2000]  # noqa: PLR2004
