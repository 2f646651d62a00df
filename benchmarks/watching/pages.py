"""How long Modelyard's pages in Airflow take over a database of some size, in Airflow's own api-server.

python -m benchmarks.watching.pages DATABASE.db [--model NAME] [--times 20]

The database is one that `benchmarks.watching.million --folder DIR` has left, or any other of Modelyard's
in SQLite. Airflow's application runs in this process, with a home of its own; MLflow is not asked. Shown
are the first answer, the median and the worst of the others, and this process's memory.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from modelyard.store.database import open_store

if TYPE_CHECKING:
    from starlette.testclient import TestClient

PROJECT = Path(__file__).parents[2]
USER = "ada"
LIMIT_S = 1.0


@contextmanager
def airflow(database: Path) -> Iterator[TestClient]:
    """Run Airflow's api-server with the plugin in this process, logged in as an admin."""
    with tempfile.TemporaryDirectory(prefix="modelyard-pages-") as home:
        settings = {
            "CORE__LOAD_EXAMPLES": "False",
            "CORE__PLUGINS_FOLDER": str(PROJECT / "plugins"),
            "CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin",
            "DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
            "API_AUTH__JWT_SECRET": "of this benchmark only " * 4,
            "API__SECRET_KEY": "and this one too, no more " * 4,
            "LOGGING__LOGGING_LEVEL": "ERROR",
        }
        os.environ |= {f"AIRFLOW__{name}": value for name, value in settings.items()}
        os.environ |= {
            "AIRFLOW_HOME": home,
            "MODELYARD_HOME": home,
            "MODELYARD_PROJECT": str(PROJECT),
            "MODELYARD_DATABASE_URL": f"sqlite:///{database.absolute()}",
        }
        sys.path.insert(0, str(PROJECT / "plugins"))
        from airflow.api_fastapi.app import create_app
        from airflow.utils.db import initdb
        from starlette.testclient import TestClient

        initdb()
        with TestClient(create_app("core"), base_url="http://testserver") as client:
            passwords = Path(home, "simple_auth_manager_passwords.json.generated").read_text(
                "utf-8"
            )
            login = {"username": USER, "password": json.loads(passwords)[USER]}
            token = client.post("/auth/token", json=login).json()["access_token"]
            client.headers["Authorization"] = f"Bearer {token}"
            yield client


def counts(database: Path) -> str:
    """Say how much there is to look at."""
    import sqlite3

    tables = ("predictions", "drift_checks", "verdicts", "performance_checks", "alerts")
    with sqlite3.connect(database) as connection:
        found = [
            f"{connection.execute(f'SELECT count(*) FROM {name}').fetchone()[0]:,} {name}"  # noqa: S608
            for name in tables
        ]
    return ", ".join(found)


def first_model(database: Path) -> str:
    """Name a model that is served, or the first that was watched."""
    import sqlite3

    open_store(f"sqlite:///{database.absolute()}").close()
    with sqlite3.connect(database) as connection:
        query = "SELECT model FROM variants UNION ALL SELECT model FROM drift_checks LIMIT 1"
        return str(connection.execute(query).fetchone()[0])


def measure(client: TestClient, path: str, times: int) -> bool:
    """Ask for a page again and again; say whether each answer but the first was fast enough."""
    taken = []
    for _ in range(times + 1):
        begun = time.perf_counter()
        answer = client.get(path)
        taken.append(time.perf_counter() - begun)
        answer.raise_for_status()
    first, *others = taken
    print(
        f"{path:50} {len(answer.content) / 1024:6.0f} KiB  first {first:6.3f} s"
        f"  median {statistics.median(others):6.3f} s  worst {max(others):6.3f} s"
    )
    return max(others) < LIMIT_S


def main() -> int:
    """Measure the three pages."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("database", type=Path)
    parser.add_argument("--model")
    parser.add_argument("--times", type=int, default=20)
    chosen = parser.parse_args()
    model = chosen.model or first_model(chosen.database)
    print(counts(chosen.database))
    with airflow(chosen.database) as client:
        pages = ["/modelyard/", "/modelyard/models", f"/modelyard/drift?model={model}"]
        fast = [measure(client, path, chosen.times) for path in pages]
    memory = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    print(
        f"memory {memory * os.sysconf('SC_PAGE_SIZE') / 1e6:.0f} MB; load {os.getloadavg()[0]:.1f}"
    )
    return 0 if all(fast) else 1


if __name__ == "__main__":
    sys.exit(main())
