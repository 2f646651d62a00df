"""Makes a version again: run as a file of its own, with the import paths of the version's own code.

Reads a request as JSON from standard input and writes the answer to the file that it names. It
imports only what Modelyard has had since 0.1.
"""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from typing import Any

WORK_TREE = "work tree"
BEFORE = ("validate", "transform", "split", "build")
AFTER = ("train", "evaluate")


def main() -> int:
    """Answer one request."""
    request = json.load(sys.stdin)
    logging.basicConfig(stream=sys.stderr, format="%(message)s", level=logging.WARNING)
    logging.getLogger("modelyard").setLevel(logging.INFO)
    from modelyard.errors import ModelyardError

    try:
        answer = make(request)
    except ModelyardError as error:
        answer = {"error": str(error)}
    Path(request["answer"]).write_text(json.dumps(answer), encoding="utf-8")
    return 0


def make(request: dict[str, Any]) -> dict[str, Any]:
    """Go through the stages up to the evaluation."""
    from modelyard.settings import Settings
    from modelyard.stages import perform
    from modelyard.workspace import Workspace

    workspace = Workspace(Settings())
    run, pulled = _pull(request, workspace)
    artifacts: dict[str, Any] = {"pull": pulled}
    for stage in BEFORE:
        artifacts[stage] = perform(stage, run, artifacts, workspace)
    file = workspace.path(artifacts["build"]["config"])
    same = json.loads(file.read_bytes()) == request["config"]
    if not same and request["searched"]:
        artifacts["build"] |= _as_recorded(file, request["config"])
    for stage in AFTER:
        artifacts[stage] = perform(stage, run, artifacts, workspace)
    return {
        "weights": artifacts["train"]["weights_hash"],
        "metrics": artifacts["evaluate"]["metrics"],
        "same_config": same,
    }


def _pull(request: dict[str, Any], workspace: Any) -> tuple[Any, Any]:
    """Find the recorded content at the recorded revisions, the version's commit, or the work tree."""
    from modelyard.errors import DataError
    from modelyard.runs import Run
    from modelyard.spec.models import Spec
    from modelyard.stages import perform

    found = []
    for revision in dict.fromkeys(request["revisions"]):
        wanted = {**request["spec"], "tune": None, "cross_validation": None}
        wanted["data"] = {**wanted["data"], "revision": revision}
        run = Run(id="verify", spec=Spec.model_validate(wanted))
        try:
            pulled = perform("pull", run, {}, workspace)
        except DataError as error:
            found.append(f"{revision or WORK_TREE}: {error}")
            continue
        if pulled["content_hash"] == request["content"]:
            return run, pulled
        found.append(f"{revision or WORK_TREE}: {pulled['content_hash']}")
    message = f"the data with the hash {request['content']} are not found; at {'; at '.join(found)}"
    raise DataError(message)


def _as_recorded(file: Path, config: dict[str, Any]) -> dict[str, str]:
    """Put what a search chose in the place of what the spec alone would give."""
    from modelyard.spec.models import content_hash

    file.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return {"config_hash": content_hash(config)}


if __name__ == "__main__":
    sys.exit(main())
