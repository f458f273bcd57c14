"""Maps the values of ``--frequency`` to calendars, and restores the calendar that a run has stored."""

from __future__ import annotations

from typing import Any

from apps.forecasting.calendar import DAY, WEEK, Fixed, Frequency, Months, Steps
from apps.forecasting.week import Sessions, Weekdays, Weeks

CALENDARS: dict[str, Any] = {each.name: each for each in (Steps, Fixed, Months, Weekdays, Weeks, Sessions)}

# Values of --frequency.
FREQUENCIES: dict[str, Frequency] = {
    "second": Fixed(1),
    "minute": Fixed(60),
    "hour": Fixed(3600),
    "day": Fixed(DAY),
    "business": Weekdays(),
    "week": Fixed(WEEK),
    "month": Months(),
    "quarter": Months(3),
    "year": Months(12),
    "step": Steps(),
}


def restored(stored: dict[str, Any]) -> Frequency:
    """Returns the calendar from the values that :meth:`Frequency.stored` has returned."""
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in stored.items()}
    found: Frequency = CALENDARS[str(values.pop("name"))](**values)
    return found
