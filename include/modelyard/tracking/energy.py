"""What a run cost in energy: codecarbon's estimate for this machine, without a network."""

from __future__ import annotations

import json
import logging
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from modelyard.errors import UsageError
from modelyard.spec.hints import nearest

if TYPE_CHECKING:
    from codecarbon import OfflineEmissionsTracker

OFF = "off"
SECONDS_BETWEEN_MEASURES = 10
COUNTRIES = "data/private_infra/global_energy_mix.json"
log = logging.getLogger(__name__)


class EnergyMeter:
    """Estimates what the whole machine used between `start` and `stop`, other programs included.

    Power is RAPL's and NVML's where they can be read, else the processor's thermal design power
    times its load, and a constant a memory slot: https://docs.codecarbon.io (Methodology).
    """

    def __init__(self, country: str | None) -> None:
        """Take the country whose electricity it is, as three ISO letters; without, only energy is known.

        Raises:
            UsageError: codecarbon knows no such country.
        """
        self._country = _known(country) if country else None
        self._tracker: OfflineEmissionsTracker | None = None

    def start(self) -> None:
        """Begin; the first time in a process codecarbon looks at the hardware for about 2 s."""
        from codecarbon import OfflineEmissionsTracker

        logging.getLogger("codecarbon").setLevel(logging.CRITICAL)  # importing it sets INFO
        tracker = OfflineEmissionsTracker(
            country_iso_code=self._country or "FRA",  # it wants one; without ours no CO2 is told
            output_methods=[],  # no emissions.csv in the current folder
            emissions_endpoint=None,
            electricitymaps_api_token="",  # nor one from ~/.codecarbon.config, which asks the network
            measure_power_secs=SECONDS_BETWEEN_MEASURES,
            tracking_mode="machine",
            allow_multiple_runs=True,
            log_level="critical",
        )
        tracker.start()
        self._tracker = tracker

    def stop(self) -> dict[str, float]:
        """Return kilowatt hours, and kilograms of CO2 equivalents where the country is known."""
        if self._tracker is None:
            return {}
        co2 = self._tracker.stop()
        data = getattr(self._tracker, "final_emissions_data", None)
        if data is None:
            return {}
        figures = {"energy_kwh": float(data.energy_consumed)}
        if self._country and co2 is not None:
            figures["co2_kg"] = float(co2)
        return figures


def meter(country: str) -> EnergyMeter | None:
    """Make the meter that the setting asks for; None where it is `off`."""
    return None if country.lower() == OFF else EnergyMeter(country or None)


def _known(country: str) -> str:
    code = country.upper()
    if code in _countries():
        return code
    near = nearest(code, sorted(_countries()))
    message = f"MODELYARD_ENERGY_COUNTRY: codecarbon knows no country {country!r}"
    raise UsageError(
        message, hint=f"three letters of ISO 3166 such as {near or 'DEU'}, nothing, or {OFF}"
    )


@cache
def _countries() -> frozenset[str]:
    text = files("codecarbon").joinpath(COUNTRIES).read_text(encoding="utf-8")
    return frozenset(json.loads(text))
