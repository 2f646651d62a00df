"""The table that the endpoint routes by."""

from __future__ import annotations

from modelyard.rollout.routes import RouteTable, app_name, route_table
from modelyard.store.records import Role, Variant


def variant(version: int, weight: float, role: Role = "challenger", model: str = "m") -> Variant:
    return Variant(model=model, version=version, weight=weight, role=role)


def test_shares_are_normalised_and_stand_by_version() -> None:
    table = route_table([variant(4, 1), variant(3, 3, "champion")])
    assert [(route.version, route.share) for route in table.models["m"]] == [(3, 0.75), (4, 0.25)]
    assert table.models["m"][0].app == app_name("m", 3) == "modelyard-m-v3"


def test_without_any_weight_the_champion_answers() -> None:
    table = route_table([variant(3, 0, "champion"), variant(4, 0)])
    assert [route.share for route in table.models["m"]] == [1, 0]


def test_the_revision_changes_with_the_table_and_with_nothing_else() -> None:
    one, two = variant(1, 1, "champion"), variant(1, 1, "champion", model="other")
    assert route_table([one, two]).revision == route_table([two, one]).revision
    assert route_table([one]).revision != route_table([one, two]).revision
    assert route_table([]).revision == RouteTable().revision


def test_a_table_survives_json() -> None:
    table = route_table([variant(3, 1, "champion"), variant(4, 2)])
    assert RouteTable.model_validate_json(table.model_dump_json()) == table
