"""Run migrations on the connection that `modelyard.store.migrate` gives."""

from alembic import context

from modelyard.store import monitoring_tables
from modelyard.store.tables import Base

# Its tables are known to Base once it is imported.
assert monitoring_tables
connection = context.config.attributes.get("connection")
if connection is None:
    REFUSAL = "Modelyard migrates by itself: run `modelyard db upgrade`"
    raise SystemExit(REFUSAL)

context.configure(
    connection=connection,
    target_metadata=Base.metadata,
    # Alembic thinks that SQLite cannot; with our own BEGIN it can.
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
