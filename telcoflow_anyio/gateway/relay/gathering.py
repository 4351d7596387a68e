"""Where calls come together: conferences, rooms and queues."""

import time
from functools import partial
from typing import TYPE_CHECKING, final

from telcoflow_anyio.gateway.relay import reading
from telcoflow_anyio.gateway.relay.answers import Reply
from telcoflow_anyio.gateway.relay.network import Gathering
from telcoflow_anyio.gateway.relay.operations import Operation, refuse_unless
from telcoflow_proto.jsontext import JsonObject
from telcoflow_proto.relay.methods import Method

if TYPE_CHECKING:
    from collections.abc import Callable

    from telcoflow_anyio.gateway.relay.calls import RelayServiceCall


class Membership(Operation):
    """A call's place in a gathering. It is over when the call leaves, or ends."""

    gatherings: dict[str, Gathering]
    gathering: Gathering

    def enter(self, gatherings: dict[str, Gathering], name: str) -> None:
        """Take a place. Raises Refusal if the call has one there."""
        found = gatherings.get(name)
        refuse_unless(found is None or self.call not in found.members, "the call is in there already", code="409")
        self.gatherings = gatherings
        self.gathering = gatherings.setdefault(name, Gathering(self.call.network.identifier(), name))
        self.gathering.members.append(self.call)

    def vanish(self) -> None:
        """Give the place up."""
        super().vanish()
        self.gathering.members.remove(self.call)
        if not self.gathering.members:
            del self.gatherings[self.gathering.name]


@final
class InConference(Membership):
    """``calling.join_conference``."""

    def __init__(self, call: "RelayServiceCall", method: Method, params: JsonObject) -> None:
        super().__init__(call, method, params)
        self.enter(call.network.conferences, reading.text(params, "name"))

    @property
    def more(self) -> JsonObject:
        """What the answer to the request holds beside the usual."""
        return {"conference_id": self.gathering.gathering_id}

    def start(self) -> None:
        """Go in; the first one opens it."""
        if len(self.gathering.members) == 1:
            self._tell_all("conference-start")
        self._tell_status("participant-join")

    def stop(self) -> None:
        """Go out; the last one closes it, and so does who ends it by leaving."""
        others = [one for one in self.gathering.members if one is not self.call]
        self.vanish()
        self._tell_status("participant-leave")
        if not others:
            self._tell_all("conference-end")
        elif reading.flag(self.params, "end_on_exit", default=False):
            for other in others:
                for membership in find_memberships(other, InConference, self.gathering.gathering_id):
                    membership.stop()

    def _describe(self, status: str) -> JsonObject:
        return {
            "conference_id": self.gathering.gathering_id,
            "name": self.gathering.name,
            "region": reading.text(self.params, "region", "global"),
            "size": len(self.gathering.members),
            "status": status,
        }

    def _tell_status(self, status: str) -> None:
        muted = reading.flag(self.params, "muted", default=False)
        self.call.tell("calling.conference", {**self._describe(status), "muted": muted})

    def _tell_all(self, status: str) -> None:
        if self.call.session is not None:
            self.call.session.push("calling.conference", self._describe(status))


@final
class InRoom(Membership):
    """``calling.join_room``: one at a time."""

    def __init__(self, call: "RelayServiceCall", method: Method, params: JsonObject) -> None:
        super().__init__(call, method, params)
        refuse_unless(not find_memberships(call, InRoom), "the call is in a room already", code="409")
        self.enter(call.network.rooms, reading.text(params, "name"))

    def start(self) -> None:
        """Go in."""
        self.tell(join_status="joined", room_name=self.gathering.name)

    def stop(self) -> None:
        """Go out."""
        self.vanish()
        self.tell(join_status="leave", room_name=self.gathering.name)


@final
class InQueue(Membership):
    """``calling.queue.enter``."""

    def __init__(self, call: "RelayServiceCall", method: Method, params: JsonObject) -> None:
        super().__init__(call, method, params)
        self.enter(call.network.queues, reading.text(params, "queue_name"))
        self._entered = _epoch()

    def start(self) -> None:
        """Wait in line."""
        self._tell_status("enqueue", self.control_id, position=len(self.gathering.members))

    def stop(self) -> None:
        """Go out of line."""
        self.leave(self.control_id)

    def leave(self, control_id: str) -> None:
        """Go out of line, because a request with that control id wants it."""
        position = self.gathering.members.index(self.call) + 1
        self.vanish()
        self._tell_status("leave", control_id, position=position, leave_ts=_epoch())

    def _tell_status(self, status: str, control_id: str, **more: int) -> None:
        members: JsonObject = {
            "control_id": control_id,
            "status": status,
            "id": self.gathering.gathering_id,
            "name": self.gathering.name,
            "size": len(self.gathering.members),
            "enqueue_ts": self._entered,
            **more,
        }
        self.call.tell("calling.call.queue", members)


def find_memberships(
    call: "RelayServiceCall", kind: type[Membership], gathering_id: str | None = None
) -> list[Membership]:
    """Return the places a call has in gatherings of a kind, or in one of them."""
    return [
        one
        for one in call.running
        if isinstance(one, kind) and gathering_id in {None, one.gathering.gathering_id, one.gathering.name}
    ]


def leave_conference(call: "RelayServiceCall", params: JsonObject) -> Reply:
    """``calling.leave_conference``. Raises Refusal if the call is not in it."""
    found = find_memberships(call, InConference, reading.text(params, "conference_id"))
    refuse_unless(found, "the call is not in this conference", code="409")
    return Reply("Leaving conference", _stop_all(found))


def leave_room(call: "RelayServiceCall", _params: JsonObject) -> Reply:
    """``calling.leave_room``. Raises Refusal if the call is in none."""
    found = find_memberships(call, InRoom)
    refuse_unless(found, "the call is in no room", code="409")
    return Reply("Leaving room", _stop_all(found))


def leave_queue(call: "RelayServiceCall", params: JsonObject) -> Reply:
    """``calling.queue.leave``. Raises Refusal if the call is not in it."""
    queue_id = reading.text(params, "queue_id")
    found = [
        one
        for one in find_memberships(call, InQueue, reading.text(params, "queue_name"))
        if isinstance(one, InQueue) and queue_id in {"", one.gathering.gathering_id}
    ]
    refuse_unless(found, "the call is not in this queue", code="409")
    return Reply("Leaving queue", partial(found[0].leave, reading.text(params, "control_id")))


def _stop_all(memberships: list[Membership]) -> "Callable[[], None]":
    def stop() -> None:
        for one in memberships:
            one.stop()

    return stop


def _epoch() -> int:
    return int(time.time())
