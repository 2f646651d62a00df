"""Ask for approvals in Airflow: one run of the DAG `approve` for each rollout that waits."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

from modelyard.settings import Settings
from modelyard.spec.models import content_hash
from modelyard.stack.airflow_api import AirflowApi
from modelyard.stack.keys import ADMIN
from modelyard.store.records import RolloutRecord

DAG = "approve"
URL, USER, PASSWORD, FILE = (
    f"MODELYARD_AIRFLOW_{name}" for name in ("URL", "USER", "PASSWORD", "PASSWORD_FILE")
)


class Approvals:
    """Begins a run when a rollout begins to wait, and ends it when that was decided elsewhere."""

    def __init__(self, api: AirflowApi) -> None:
        self._api = api
        self._asked: set[str] = set()

    @classmethod
    def from_environment(cls, settings: Settings) -> Approvals | None:
        """Read where Airflow is; None if nothing says so, and approvals are then given by command.

        The password is in MODELYARD_AIRFLOW_PASSWORD, or in a file of user names and passwords as
        Airflow's simple auth manager keeps one; by default the stack's own.
        """
        url, user = os.environ.get(URL), os.environ.get(USER, ADMIN)
        if not url:
            return None
        file = Path(os.environ.get(FILE, settings.home / "secrets" / "airflow_passwords.json"))
        password = os.environ.get(PASSWORD) or json.loads(file.read_text("utf-8"))[user]
        return cls(AirflowApi(url, password, user))

    def ask(self, waiting: Sequence[RolloutRecord]) -> None:
        """See that each has its run; those whose rollout no longer waits are ended.

        Raises:
            StackError: Airflow does not answer, or refuses.
        """
        wanted = {run_id(record): record for record in waiting}
        for run in sorted(wanted.keys() - self._asked):
            if not self._api.has_run(DAG, run):
                record = wanted[run]
                conf = {"model": record.model, "phase": record.phase}
                note = f"{record.model}: version {record.version} waits for approval"
                self._api.trigger(DAG, {**conf}, note, run)
            self._asked.add(run)
        for run in sorted(self._asked - wanted.keys()):
            self._api.end_run(DAG, run)
            self._asked.discard(run)


def run_id(record: RolloutRecord) -> str:
    """The id of the run that asks for one approval: one wait, one run."""
    return f"{record.model}-v{record.version}-{content_hash(record.phase)[:8]}"
