"""When a running operation is over: the one question each kind of action answers in its own way.

Every rule gets the inner params of an event that bears the action's control id and is of the action's event
type. It answers True for the one that ends it.
"""

from collections.abc import Callable

from telcoflow_proto.jsontext import Json, JsonObject

Rule = Callable[[JsonObject], bool]

_COLLECT_ENDS = frozenset({"finished", "error", "no_input", "no_match"})
_CONTINUOUS_ENDS = frozenset({"finished", "error", "no_input"})


def by_state(*terminal: str) -> Rule:
    """Over when ``state`` is one of these."""
    states = frozenset(terminal)
    return lambda event: _text(event.get("state")) in states


def by_final_result(event: JsonObject) -> bool:
    """A collect is over with its final result: not with a partial one, nor because the caller began to speak."""
    result = event.get("result")
    if _text(event.get("state")) in _COLLECT_ENDS:
        return True
    if not isinstance(result, dict) or not result:
        return False
    return _text(result.get("type")) != "start_of_input" and event.get("final") is not False


def by_continuous_end(event: JsonObject) -> bool:
    """In a continuous collect one result follows the other; only an end that says so is one."""
    result = event.get("result")
    kind = _text(result.get("type")) if isinstance(result, dict) else ""
    return not {kind, _text(event.get("state"))}.isdisjoint(_CONTINUOUS_ENDS)


def by_first_result(event: JsonObject) -> bool:
    """A collect is over with whatever comes first, partial results included, as in the vendor's client."""
    return bool(event.get("result")) or _text(event.get("state")) in _COLLECT_ENDS


def by_detection(event: JsonObject) -> bool:
    """A detection is over with the first thing it says."""
    return bool(event.get("detect")) or _text(event.get("state")) in {"finished", "error"}


def by_fax_type(event: JsonObject) -> bool:
    """The vendor's wire notes put the end into ``fax.type``, its client looks for ``state``: both are heard."""
    fax = event.get("fax")
    kind = fax.get("type") if isinstance(fax, dict) else None
    return not {_text(kind), _text(event.get("state"))}.isdisjoint({"finished", "error"})


def by_payment_result(event: JsonObject) -> bool:
    """The vendor's wire notes end a payment with ``result``, its client looks for ``state``: both are heard."""
    return bool(event.get("result")) or _text(event.get("state")) in {"finished", "error"}


def _text(value: Json) -> str:
    return value if isinstance(value, str) else ""
