"""Faxes, page by page."""

from typing import TYPE_CHECKING, final

from telcoflow_anyio.gateway.relay import reading
from telcoflow_anyio.gateway.relay.operations import Operation

if TYPE_CHECKING:
    from telcoflow_proto.jsontext import JsonObject

_PAGE_SECONDS = 1.0
_NO_FAX_AFTER = 5.0


@final
class Fax(Operation):
    """``calling.send_fax`` and ``calling.receive_fax``. It goes well if the party is a fax machine."""

    _pages = 0

    def start(self) -> None:
        """Send or receive the first page, or wait for a machine that is not there."""
        if self.call.party.fax_pages is None:
            self.alarms.arm("no fax", _NO_FAX_AFTER, lambda: self._end("there is no fax machine"))
        else:
            self._next_page()

    def stop(self) -> None:
        """Give up."""
        self._end("stopped")

    def _next_page(self) -> None:
        if self._pages == self.call.party.fax_pages:
            self._end("")
        else:
            self.alarms.arm("page", _PAGE_SECONDS, self._page_done)

    def _page_done(self) -> None:
        self._pages += 1
        self.tell(fax={"type": "page", "params": {"direction": self._direction, "number": self._pages}})
        self._next_page()

    @property
    def _direction(self) -> str:
        return "send" if self.method.name == "send_fax" else "receive"

    def _end(self, why_not: str) -> None:
        received = f"https://files.local/faxes/{self.control_id}.pdf"
        params: JsonObject = {
            "direction": self._direction,
            "identity": reading.text(self.params, "identity"),
            "remote_identity": self.call.party.number,
            "document": reading.text(self.params, "document", received),
            "format": "pdf",
            "pages": self._pages,
            "success": not why_not,
            "result": 1 if why_not else 0,
            "result_text": why_not or "OK",
        }
        self.finish(fax={"type": "finished", "params": params})
