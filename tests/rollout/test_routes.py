"""The table that the endpoint routes by."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from modelyard.rollout.routes import ModelTraffic, RouteTable, app_name, route_table
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


def test_weights_of_any_sum_give_the_same_shares() -> None:
    one, other = ([variant(v, scale * w) for v, w in ((1, 1), (2, 2), (3, 5))] for scale in (1, 40))
    assert route_table(one) == route_table(other)


def test_copies_and_experiments_reach_the_route() -> None:
    [route] = route_table(
        [Variant(model="m", version=1, weight=0, role="challenger", shadow=0.2, experiment="e")]
    ).models["m"]
    assert (route.share, route.shadow, route.experiment) == (0, 0.2, "e")


def test_what_holds_for_a_model_is_kept_while_it_is_served() -> None:
    traffic = {"m": ModelTraffic(phase="p", slow_ms=20), "gone": ModelTraffic(phase="q")}
    table = route_table([variant(1, 1, "champion"), variant(1, 1, "champion", "n")], traffic)
    assert table.traffic_of("m").slow_ms == 20
    assert table.traffic_of("n") == ModelTraffic()
    assert set(table.traffic) == {"m"}


def test_a_new_phase_is_a_new_revision() -> None:
    one, other = (
        route_table([variant(1, 1, "champion")], {"m": ModelTraffic(phase=phase)})
        for phase in ("p", "q")
    )
    assert one.revision != other.revision


@pytest.mark.parametrize(
    "wrong", [{"timeout_ms": 0}, {"timeout_ms": -1}, {"phase": None}, {"unknown": 1}]
)
def test_traffic_that_makes_no_sense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        ModelTraffic.model_validate(wrong)
