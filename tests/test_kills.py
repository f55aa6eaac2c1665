"""`kill -9` at random points: the server's own log is the judge of what was lost and what came twice."""

from __future__ import annotations

import sys

import pytest

from digest.model import DeliveryStatus, OnUnknown
from tests.conftest import THOROUGH
from tests.kills import Storm, Window, storms

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="kills by SIGKILL")

KILLS = 300 if THOROUGH else 60


@pytest.fixture(scope="module")
def struck() -> list[Storm]:
    return storms(KILLS)


def test_kills_fall_everywhere(struck: list[Storm]) -> None:
    """There have been as many as was said, and some in each window of a delivery's life."""
    assert sum(len(storm.struck) for storm in struck) >= KILLS
    assert {window for storm in struck for window in storm.windows} == set(Window)


def test_no_kill_loses_a_message(struck: list[Storm]) -> None:
    """Everybody's message has arrived, or is said to be in doubt; and every copy that has arrived is told of."""
    for storm in struck:
        assert (storm.lost, storm.untold) == ([], []), storm.weather
        assert storm.statuses.total() == storm.recipients
        assert set(storm.statuses) <= {DeliveryStatus.SENT, DeliveryStatus.UNKNOWN}


def test_a_kill_leaves_at_most_one_message_a_connection_in_doubt(struck: list[Storm]) -> None:
    """However many messages are claimed or wait for a commit."""
    for storm in struck:
        assert storm.most(Window.INTENT, Window.ACCEPTED) <= storm.weather.connections, storm.weather


def test_what_is_held_never_comes_twice(struck: list[Storm]) -> None:
    """Under "hold" nobody has two copies, and what a kill left in doubt stays `unknown`."""
    for storm in of(struck, OnUnknown.HOLD):
        assert not storm.doubled, storm.weather
        in_doubt = storm.total(Window.INTENT) + storm.total(Window.ACCEPTED)
        assert storm.statuses[DeliveryStatus.UNKNOWN] == in_doubt, storm.weather


def test_what_is_sent_again_is_the_same_message(struck: list[Storm]) -> None:
    """Under "resend" all is sent in the end; a second copy comes only of what a kill kept from being recorded."""
    for storm in of(struck, OnUnknown.RESEND):
        assert set(storm.statuses) == {DeliveryStatus.SENT}, storm.weather
        assert storm.doubled.total() == storm.total(Window.ACCEPTED), storm.weather
    assert any(storm.doubled for storm in of(struck, OnUnknown.RESEND))


def of(storms: list[Storm], on_unknown: OnUnknown) -> list[Storm]:
    return [storm for storm in storms if storm.weather.on_unknown is on_unknown]
