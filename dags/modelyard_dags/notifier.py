"""Tell the addresses of `MODELYARD_NOTIFY` what happened in any DAG, not in Modelyard's alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

from airflow.sdk.bases.notifier import BaseNotifier
from airflow.sdk.definitions.context import Context
from pydantic import JsonValue

TITLE = "{{ dag.dag_id }}: {{ task_instance.task_id if task_instance else 'run' }} {{ task_instance.state if task_instance else dag_run.state }}"
TEXT = "Run {{ run_id }} of {{ dag.dag_id }}."


@dataclass(frozen=True, slots=True)
class Note:
    """A text, in the shape in which `modelyard.delivery` sends the news of alerts."""

    title: str
    body: str
    level: str = "warning"
    is_over: bool = False
    event: Any = field(default_factory=lambda: SimpleNamespace(id=uuid4().hex))

    def document(self) -> dict[str, JsonValue]:
        """What a webhook gets."""
        return {"event": {"id": self.event.id}, "title": self.title, "message": self.body}


class ModelyardNotifier(BaseNotifier):
    """Send a text wherever alerts go, such as `on_failure_callback=ModelyardNotifier()`.

    Title and text are Jinja templates. An address that does not take it is logged and keeps no
    other from getting it.
    """

    template_fields = ("title", "text")

    def __init__(self, title: str = TITLE, text: str = TEXT) -> None:
        super().__init__()
        self.title = title
        self.text = text

    def notify(self, context: Context) -> None:  # noqa: ARG002 - the base class calls it so
        """Send it to each address."""
        from modelyard.delivery.addresses import NotDelivered, addresses_of
        from modelyard.settings import get_settings

        note = Note(self.title, self.text)
        for address in addresses_of(get_settings()):
            try:
                address.send([note])
            except NotDelivered as error:
                self.log.warning("not delivered to %s: %s", address.name, error)
