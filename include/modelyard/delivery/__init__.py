"""Tell people of alerts: what waits in the outbox is sent to the addresses of MODELYARD_NOTIFY."""

from modelyard.delivery.outbox import deliver

__all__ = ["deliver"]
