"""The `send_window` of a list: the hours in which its messages may leave, checked and put into one form.

Pure. What comes out is what `digest.schedule` reads: weekdays as in a schedule, `*` for all, then the two times.
"""

from __future__ import annotations

import re

from digest.settings import cron
from digest.subscribe.values import WrongValue

_EXAMPLE = "must be hours such as `07:00-21:00` or `mon-fri 07:00-21:00`"
_HOURS = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-(?:([01]\d|2[0-3]):([0-5]\d)|24:00)")


def send_window(line: str) -> str:
    """`07:00-21:00`, or weekdays before it, as `* 07:00-21:00`. May go over midnight. Raises WrongValue."""
    *days, hours = line.split()
    found = _HOURS.fullmatch(hours)
    if not found or len(days) > 1:
        raise WrongValue(_EXAMPLE)
    opens, _, closes = hours.partition("-")
    closes = "00:00" if closes == "24:00" else closes
    if opens == closes:
        raise WrongValue(_EXAMPLE, "it must close later than it opens; for the whole day, leave it out")
    try:
        return f"{cron.weekdays(days[0]) if days else '*'} {opens}-{closes}"
    except WrongValue as error:
        raise WrongValue(_EXAMPLE, error.hint) from None
