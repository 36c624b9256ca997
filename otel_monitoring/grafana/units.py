"""Units of the catalogue (UCUM) as Grafana calls them.

https://github.com/grafana/grafana/blob/main/packages/grafana-data/src/valueFormats/categories.ts
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

PLAIN = "short"
"""Grafana's unit for numbers without any."""

_GRAFANA: Mapping[str, str] = MappingProxyType(
    {
        "": PLAIN,
        "1": "percentunit",
        "%": "percent",
        "d": "d",
        "h": "h",
        "min": "m",
        "s": "s",
        "ms": "ms",
        "us": "µs",
        "ns": "ns",
        "By": "bytes",
        "KiBy": "kbytes",
        "MiBy": "mbytes",
        "GiBy": "gbytes",
        "TiBy": "tbytes",
        "KBy": "deckbytes",
        "MBy": "decmbytes",
        "GBy": "decgbytes",
        "TBy": "dectbytes",
        "m": "lengthm",
        "V": "volt",
        "A": "amp",
        "J": "joule",
        "W": "watt",
        "g": "massg",
        "Cel": "celsius",
        "Hz": "hertz",
        "By/s": "binBps",
        "s/s": "percentunit",
        "{request}/s": "reqps",
        "{operation}/s": "ops",
    }
)


def grafana_unit(unit: str) -> str:
    """Return Grafana's id of a UCUM unit.

    Things that are counted, ``{job}``, are plain numbers, and counts per second with ``/s``
    behind; a unit that Grafana has no id of is shown behind the number as it stands.
    """
    if unit in _GRAFANA:
        return _GRAFANA[unit]
    if re.fullmatch(r"\{[^}]*\}", unit):
        return PLAIN
    if re.fullmatch(r"(\{[^}]*\}|1)?/s", unit):
        return "cps"
    return f"suffix: {unit}"
