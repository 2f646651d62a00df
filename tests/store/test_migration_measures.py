"""Verdicts of an older database keep their measures."""

from __future__ import annotations

from alembic import command
from sqlalchemy import text

from modelyard.store import migrate
from modelyard.store.database import open_store
from modelyard.store.engine import make_engine, parse_url

CHECK = (
    'INSERT INTO drift_checks (id, at, model, version, "window", rows, first_at, last_at,'
    " reference_rows, alpha, correction, min_effect, drifted) VALUES ('c', '2026-11-01', 'm', 1,"
    " 'all', 9, '2026-11-01', '2026-11-01', 9, 0.05, 'bonferroni', 0.1, {false})"
)
VERDICT = (
    'INSERT INTO verdicts (check_id, position, "column", kind, test, effect, effect_name, drifted,'
    " psi, js, reference_rows, live_rows, reference_missing, live_missing) VALUES ('c', {place},"
    " 'x{place}', 'number', 'none', 0, 'KS distance', {false}, {psi}, {js}, 9, 9, 0, 0)"
)


def test_measures_of_their_own_columns_become_one_document(url: str) -> None:
    engine = make_engine(parse_url(url))
    false = "0" if url.startswith("sqlite") else "false"
    with engine.connect() as connection, connection.begin():
        config = migrate.alembic_config()
        config.attributes["connection"] = connection
        command.upgrade(config, "0002")
        connection.execute(text(CHECK.format(false=false)))
        for place, (psi, js) in enumerate([("0.25", "0.5"), ("NULL", "0.5"), ("NULL", "NULL")]):
            connection.execute(text(VERDICT.format(false=false, place=place, psi=psi, js=js)))
    engine.dispose()
    with open_store(url) as store:
        (check,) = store.verdicts("m")
    assert [verdict.measures for verdict in check.verdicts] == [
        {"psi": 0.25, "jensen_shannon": 0.5},
        {"jensen_shannon": 0.5},
        {},
    ]
