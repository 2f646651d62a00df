"""Pull in a process of its own: PROJECT HOME REVISION."""

from __future__ import annotations

import sys
from pathlib import Path

from modelyard.data.pull import pull
from modelyard.settings import Settings
from modelyard.spec.models import Spec
from modelyard.workspace import Workspace


def main() -> None:
    """Wait for a line on standard input, so that all start at once; print the artifact."""
    project, home, revision = sys.argv[1:]
    data = {"path": "data/numbers", "table": "table.csv", "revision": revision or None}
    spec = Spec.model_validate({"name": "test", "data": data, "model": {}})
    workspace = Workspace(Settings(project=Path(project), MODELYARD_HOME=Path(home)))
    print("ready", flush=True)  # noqa: T201 - the parent reads it
    sys.stdin.readline()
    print(pull(spec, workspace).model_dump_json())  # noqa: T201 - as above


if __name__ == "__main__":
    main()
