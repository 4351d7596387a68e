"""After an outage: which calls still exist."""

from typing import final

from telcoflow_proto.limits import Limits
from telcoflow_proto.relay.client_events import CallRecord
from telcoflow_proto.relay.probing import Probes
from telcoflow_proto.relay.registry import CallRegistry


@final
class Room:
    """Calls, and the questions about them."""

    def __init__(self, calls: int) -> None:
        self.online = True
        self.asked: list[str] = []
        self.registry = CallRegistry(lambda _event: None, most=100, limits=Limits())
        for number in range(calls):
            self.registry.receive({"call_id": f"c{number}"}, project_id="p")
        self.probes = Probes(self.registry, self._ask)

    def _ask(self, record: CallRecord) -> str | None:
        if not self.online:
            return None
        self.asked.append(record.call_id)
        return f"about {record.call_id}"

    def look(self) -> "Room":
        self.probes.look_for(self.registry.call_ids, now=100)
        return self


def test_at_most_sixteen_are_asked_for_at_once() -> None:
    room = Room(20).look()
    assert room.asked == [f"c{number}" for number in range(16)]
    room.probes.answered("about c3", gone=False, now=100)
    assert room.asked[16:] == ["c16"]
    for number in range(20):
        room.probes.answered(f"about c{number}", gone=False, now=100)
    assert len(room.asked) == 20
    assert len(room.registry) == 20


def test_a_call_that_is_gone_is_gone() -> None:
    room = Room(2).look()
    room.probes.answered("about c0", gone=True, now=100)
    assert room.registry.call_ids == ["c1"]


def test_other_answers_are_none_of_its_business() -> None:
    room = Room(1).look()
    room.probes.answered("something else", gone=True, now=100)
    assert len(room.registry) == 1


def test_nobody_is_asked_for_twice_at_a_time() -> None:
    room = Room(20).look().look()
    for number in range(20):
        room.probes.answered(f"about c{number}", gone=False, now=100)
    assert len(room.asked) == 20
    room.look()
    assert len(room.asked) == 36


def test_a_call_that_ended_while_it_waited_is_not_asked_for() -> None:
    room = Room(17).look()
    room.registry.gone("c16")
    room.probes.answered("about c0", gone=False, now=100)
    assert len(room.asked) == 16


def test_a_call_that_ended_while_it_was_asked_for_ends_once() -> None:
    room = Room(1).look()
    room.registry.gone("c0")
    room.probes.answered("about c0", gone=True, now=100)
    assert len(room.registry) == 0


def test_what_cannot_be_asked_now_is_not_asked() -> None:
    room = Room(2)
    room.online = False
    room.look()
    room.online = True
    room.probes.answered("nothing", gone=False, now=100)
    assert room.asked == []
    room.look()
    assert room.asked == ["c0", "c1"], "nobody has been asked about them yet"


def test_what_is_adrift_is_looked_for_every_minute_until_it_is_gone() -> None:
    room = Room(2)
    assert room.look().probes.next_deadline() is None
    for number in (0, 1):
        room.probes.answered(f"about c{number}", gone=False, now=100)
    room.probes.set_adrift()
    room.look()
    assert room.probes.next_deadline() == 160
    for number in (0, 1):
        room.probes.answered(f"about c{number}", gone=False, now=100)
    room.registry.receive({"call_id": "new"}, project_id="p")
    room.asked.clear()
    room.probes.handle_timeout(159)
    assert room.asked == []
    room.probes.handle_timeout(160)
    assert room.asked == ["c0", "c1"], "the new one is not adrift"
    assert room.probes.next_deadline() == 220
    for number in (0, 1):
        room.probes.answered(f"about c{number}", gone=True, now=161)
    room.probes.handle_timeout(220)
    assert room.probes.next_deadline() is None
    assert room.registry.call_ids == ["new"]


def test_it_stops_with_the_connection_and_remembers_what_is_adrift() -> None:
    room = Room(1)
    room.probes.set_adrift()
    room.look().probes.stop()
    assert room.probes.next_deadline() is None
    room.probes.handle_timeout(1000)
    room.probes.answered("about c0", gone=True, now=1000)
    assert len(room.registry) == 1
    room.look()
    assert room.asked == ["c0", "c0"]
    assert room.probes.next_deadline() == 160
