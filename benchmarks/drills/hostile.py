"""Ten thousand hostile requests to a running endpoint: none may be answered with 5xx, nor memory grow.

    .venv/bin/python -m benchmarks.drills.hostile http://127.0.0.1:8000 --pids 123 456

Requests come from a corpus made for the models that the endpoint serves (`hostile_bodies`), from
schemathesis, which reads the endpoint's OpenAPI document, from honest requests spoiled by chance, and
over bare sockets, where HTTP itself is broken (`hostile_wire`). They are sent one after the other, so
that memory and time are the request's own. The processes whose ids are given are watched.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice

import httpx
import psutil

from benchmarks.drills.hostile_bodies import JSON, Hostile, Target, hostile, mutated, targets
from benchmarks.drills.hostile_schema import from_schema
from benchmarks.drills.hostile_wire import broken_http, sent

SLOW_SECONDS = 5.0
ANSWER_SECONDS = 60.0
SHARE_OF_SCHEMA = 0.15
PROGRESS = 1000
FLAT = 1.15
MEGABYTE = 2**20


@dataclass
class Tally:
    """What came back, and what it cost."""

    pids: Sequence[int]
    statuses: Counter[tuple[str, str]] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    slow: list[tuple[float, str]] = field(default_factory=list)
    memory: list[list[int]] = field(default_factory=list)
    sent: int = 0

    def add(self, case: Hostile, status: str, seconds: float) -> None:
        """Count one answer."""
        self.sent += 1
        self.statuses[case.group, status] += 1
        if status.startswith("5") or status == "none":
            self.faults.append(
                f"{status}: {case.group}, {case.name}: {case.method} {case.path:.80}"
            )
        if seconds > SLOW_SECONDS:
            self.slow.append((seconds, f"{case.group}, {case.name}: {status}"))
        if self.sent % 50 == 0:
            self.weigh()

    def weigh(self) -> None:
        """Note the resident memory of the processes that are watched, in MB."""
        self.memory.append([psutil.Process(pid).memory_info().rss // MEGABYTE for pid in self.pids])

    def held(self) -> bool:
        """Whether nothing failed, and memory did not grow after the first third."""
        return not self.faults and not self.slow and all(map(self._is_flat, range(len(self.pids))))

    def first_third(self, at: int) -> int:
        """The most that a process held in the first third, by when all kinds of bodies came."""
        return max(sample[at] for sample in self.memory[: len(self.memory) // 3 + 1])

    def _is_flat(self, at: int) -> bool:
        return self.memory[-1][at] <= FLAT * self.first_third(at)


def main() -> int:
    """Send them and print what came back."""
    options = _options()
    tally = Tally(options.pids)
    headers = {"Authorization": f"Bearer {options.key}"} if options.key else {}
    with httpx.Client(base_url=options.url, headers=headers, timeout=ANSWER_SECONDS) as client:
        info = client.get("/model-info").raise_for_status().json()
        found = targets(info)
        if not found:
            print("no model answers there", file=sys.stderr)
            return 2
        tally.weigh()
        for case in islice(_cases(client, found, options), options.count):
            begun = time.perf_counter()
            status = _send(client, options.url, case)
            tally.add(case, status, time.perf_counter() - begun)
            if tally.sent % PROGRESS == 0:
                print(f"{tally.sent} sent, {len(tally.faults)} failed", file=sys.stderr, flush=True)
        tally.weigh()
        alive = all(_answers(client, target) for target in found)
    _print(tally, alive)
    return int(not (alive and tally.held()))


def _cases(
    client: httpx.Client, found: Sequence[Target], options: argparse.Namespace
) -> Iterator[Hostile]:
    """The corpus first, for it is what was thought of; chance fills up the rest."""
    document = client.get("/openapi.json").raise_for_status().json()
    schema = int(options.count * SHARE_OF_SCHEMA)
    spoiled = options.count // len(found) + 1
    return chain(
        *(hostile(target) for target in found),
        broken_http(found[0]),
        from_schema(document, found, schema, options.seed),
        *(mutated(target, options.seed, spoiled) for target in found),
    )


def _send(client: httpx.Client, url: str, case: Hostile) -> str:
    if case.group == "wire":
        return sent(url, case.body)
    headers = {name: value.encode("latin-1", "replace") for name, value in case.headers.items()}
    try:
        answer = client.request(case.method, case.path, content=case.body, headers=headers)
    except (httpx.WriteError, httpx.RemoteProtocolError, httpx.ReadError):
        return "cut off"  # an answer before the whole body was sent, and the connection closed
    except httpx.TimeoutException:
        return "none"
    except (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.LocalProtocolError):
        return "unsendable"
    return str(answer.status_code)


def _answers(client: httpx.Client, target: Target) -> bool:
    """Whether an honest request is answered."""
    answer = client.post(target.path, json={"rows": [target.row()]}, headers={"Accept": JSON})
    return answer.status_code == httpx.codes.OK


def _print(tally: Tally, alive: bool) -> None:
    groups = sorted({group for group, _ in tally.statuses})
    columns = sorted({status for _, status in tally.statuses})
    print(f"| requests | {' | '.join(columns)} |")
    print("|---" * (len(columns) + 1) + "|")
    for group in groups:
        counts = [tally.statuses[group, status] or "" for status in columns]
        print(f"| {group} | {' | '.join(map(str, counts))} |")
    print(f"\n{tally.sent} sent, {len(tally.faults)} answered with 5xx or not at all")
    for at, pid in enumerate(tally.pids):
        series = [sample[at] for sample in tally.memory]
        third = tally.first_third(at)
        print(
            f"process {pid}: {series[0]} MB before, {third} at most in the first third, "
            f"{max(series)} in all, {series[-1]} after"
        )
    for seconds, name in sorted(tally.slow, reverse=True)[:10]:
        print(f"slow: {seconds:.1f} s: {name}")
    print("\n".join(tally.faults[:50]))
    print("honest requests are answered" if alive else "honest requests are no longer answered")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("url", help="the endpoint")
    parser.add_argument("--pids", type=int, nargs="*", default=[], help="processes to watch")
    parser.add_argument("--count", type=int, default=10_000, help="how many requests")
    parser.add_argument("--key", help="an API key, where the endpoint asks for one")
    parser.add_argument("--seed", type=int, default=1, help="of chance")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
