"""Where our link and the ``websockets`` package may disagree about the same bytes, and why. Nothing else may.

Each entry is the name of a rule and the reason why both ends are right. ``explain`` finds the rule for a verdict
that differs, or none: that is a finding.
"""

from telcoflow_proto.websocket import LinkLost

KNOWN = {
    "our bounds": "we bound fragments of a message and control frames in a second (1008); websockets does not",
    "length encoding": "RFC 6455 §5.2 demands the shortest form of a length; websockets takes any",
    "close inside a message": "RFC 6455 §5.4 lets control frames between fragments; websockets takes no close there",
    "text while it comes": "we refuse bad UTF-8 at its first byte (RFC 6455 §8.1), others when the message is whole",
    "close codes": "wsproto's list of registered codes ends at 1013; 1014, Bad Gateway, came later",
}


REQUESTS = {
    "connection": "websockets reads the list by a stricter grammar; ours finds the one word that counts",
    "upgrade": "likewise",
    "extension": "none is ever agreed, so what is offered is not read",
    "subprotocol": "likewise",
    "origin": "whom to let in is the application's decision",
    "header value": "RFC 9110 §5.5 lets a recipient keep control characters in a value that goes nowhere",
}
"""What websockets may say of an upgrade request that we hear."""


def explain(ours: LinkLost | None, their_fault: str | None) -> str | None:
    """Return the name of the rule under which a verdict may differ, None if there is none."""
    said = "" if ours is None or ours.error is None else str(ours.error)
    if "control frames in a second" in said or "fragments" in said:
        return "our bounds"
    if "would have sufficed" in said or "Control frame with payload len" in said:  # the long form, whatever it says
        return "length encoding"
    if "UTF-8" in said:
        return "text while it comes"
    if "CLOSE with unknown reserved code" in said:
        return "close codes"
    if their_fault is not None and "incomplete fragmented message" in their_fault:
        return "close inside a message"
    return None
