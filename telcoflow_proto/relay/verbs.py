"""Every method of a RELAY call, once for all event loops. What each sends is in the table of methods.

Long because every signature is written out, for editors and type checkers; the methods themselves decide nothing.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Literal, TypeVar

from telcoflow_proto.jsontext import JsonObject
from telcoflow_proto.relay.action import (
    Action,
    AIAction,
    CollectAction,
    DetectAction,
    FaxAction,
    OnCompleted,
    PayAction,
    PlayAction,
    RecordAction,
    StandaloneCollectAction,
    StreamAction,
    TapAction,
    TranscribeAction,
)
from telcoflow_proto.relay.resolution import Rule, by_continuous_end, by_first_result

ActionT = TypeVar("ActionT", bound=Action)
Object = Mapping[str, object]
"""An object of the wire: text keys, JSON values."""
Media = Sequence[Object]
"""What to play, one after the other: ``{"type": "tts" | "audio" | "silence" | "ringtone", "params": {...}}``."""
Scalar = str | float
"""A text, or a number or boolean that is sent as one."""
ResolveOn = Literal["final", "first"]
"""With which result a collect is over: the final one, or whatever comes first, partial results included."""


class CallVerbs(ABC):
    """The methods of ``Call``. Those with an action return it once the service has accepted; others the result.

    All of them raise RelayError unless the service carries it out, and TypeError or ValueError, with nothing sent,
    for a parameter the table does not allow. On a call that is over, or gone (404, 410), nothing is raised: plain
    methods return ``{}``, an action is over at once.
    """

    async def answer(self, **kwargs: object) -> JsonObject:
        """Answer an inbound call. Further keywords go to the service: ``codecs``, ``max_duration`` in seconds.

        Wire: ``calling.answer``; ``calling.call.state`` tells how it goes on.
        """
        return await self._command("answer", {}, kwargs)

    async def hangup(self, reason: str = "hangup") -> JsonObject:
        """End the call. ``reason``: hangup, cancel, busy, noAnswer, decline or error.

        Wire: ``calling.end``; ``calling.call.state`` tells of ending and ended.
        """
        return await self._command("hangup", {"reason": reason}, {})

    async def pass_(self) -> JsonObject:
        """Decline control: the call goes back to routing. Wire: ``calling.pass``; no event."""
        return await self._command("pass_", {}, {})

    # ------------------------------------------------------------------ audio and input

    async def play(
        self,
        media: Media,
        *,
        volume: float | None = None,
        direction: str | None = None,
        loop: int | None = None,
        control_id: str | None = None,
        on_completed: OnCompleted | None = None,
        **kwargs: object,
    ) -> PlayAction:
        """Play audio: speech, files, silence, ringtones.

        ``volume`` in dB, -40.0 to 40.0; ``direction`` is ``"listen"`` (they hear it), ``"speak"`` or ``"both"``;
        ``loop`` how often, 0 for ever. Wire: ``calling.play``, over with ``calling.call.play`` finished or error.
        """
        given = {"media": media, "volume": volume, "direction": direction, "loop": loop}
        return await self._begin("play", PlayAction, given, kwargs, control_id=control_id, on_completed=on_completed)

    async def record(
        self,
        audio: Object | None = None,
        *,
        control_id: str | None = None,
        on_completed: OnCompleted | None = None,
        **kwargs: object,
    ) -> RecordAction:
        """Record the call. ``audio`` says how: format, stereo, direction, beep, time-outs in seconds, terminators.

        Wire: ``calling.record``, over with ``calling.call.record`` finished or no_input.
        """
        return await self._begin(
            "record", RecordAction, {"audio": audio}, kwargs, control_id=control_id, on_completed=on_completed
        )

    async def play_and_collect(
        self,
        media: Media,
        collect: Object,
        *,
        volume: float | None = None,
        control_id: str | None = None,
        on_completed: OnCompleted | None = None,
        resolve_on: ResolveOn = "final",
        **kwargs: object,
    ) -> CollectAction:
        """Play audio while digits or speech are collected. ``volume`` in dB, -40.0 to 40.0.

        ``collect`` is ``{"digits": {...}, "speech": {...}, "initial_timeout": seconds}``. ``resolve_on="first"``
        ends the action with the first result, partial or not. Wire: ``calling.play_and_collect``, over with
        ``calling.call.collect``; ``calling.call.play`` tells of the playing.
        """
        over = by_first_result if _is_first("play_and_collect", resolve_on) else None
        given = {"media": media, "collect": collect, "volume": volume}
        return await self._begin(
            "play_and_collect",
            CollectAction,
            given,
            kwargs,
            control_id=control_id,
            on_completed=on_completed,
            over=over,
        )

    async def collect(
        self,
        *,
        digits: Object | None = None,
        speech: Object | None = None,
        initial_timeout: float | None = None,
        partial_results: bool | None = None,
        continuous: bool | None = None,
        send_start_of_input: bool | None = None,
        start_input_timers: bool | None = None,
        control_id: str | None = None,
        on_completed: OnCompleted | None = None,
        resolve_on: ResolveOn = "final",
        **kwargs: object,
    ) -> StandaloneCollectAction:
        """Collect digits or speech without playing. ``initial_timeout`` in seconds; ``digits`` needs a ``max``.

        Over with the final result; when ``continuous``, only once the collecting ends; with ``resolve_on="first"``,
        with the first result, partial or not. Wire: ``calling.collect``; ``calling.call.collect`` tells of it.
        """
        by_end = by_continuous_end if continuous else None
        over = by_first_result if _is_first("collect", resolve_on) else by_end
        given = {
            "digits": digits,
            "speech": speech,
            "initial_timeout": initial_timeout,
            "partial_results": partial_results,
            "continuous": continuous,
            "send_start_of_input": send_start_of_input,
            "start_input_timers": start_input_timers,
        }
        return await self._begin(
            "collect",
            StandaloneCollectAction,
            given,
            kwargs,
            control_id=control_id,
            on_completed=on_completed,
            over=over,
        )

    async def send_digits(self, digits: str, *, control_id: str | None = None) -> JsonObject:
        """Send DTMF: ``0-9 * # A-D``, and ``w`` or ``W`` for a pause.

        Wire: ``calling.send_digits``; ``calling.call.send_digits`` tells when it is finished, or in error.
        """
        return await self._command("send_digits", {"digits": digits}, {}, control_id)

    async def detect(
        self,
        detect: Object,
        *,
        timeout: float | None = None,
        control_id: str | None = None,
        on_completed: OnCompleted | None = None,
        **kwargs: object,
    ) -> DetectAction:
        """Listen for a machine, a fax or digits: ``{"type": "machine" | "fax" | "digit", "params": {...}}``.

        ``timeout`` in seconds, 30 by default. Wire: ``calling.detect``, over with the first
        ``calling.call.detect``.
        """
        given = {"detect": detect, "timeout": timeout}
        return await self._begin(
            "detect", DetectAction, given, kwargs, control_id=control_id, on_completed=on_completed
        )

    # ------------------------------------------------------------------ other parties

    async def connect(
        self,
        devices: Sequence[Media],
        *,
        ringback: Media | None = None,
        tag: str | None = None,
        max_duration: int | None = None,
        max_price_per_minute: float | None = None,
        status_url: str | None = None,
        **kwargs: object,
    ) -> JsonObject:
        """Bridge the call to somebody else: the inner lists of ``devices`` ring together, one list after the other.

        ``max_duration`` goes out as given; the vendor's pages say seconds. Wire: ``calling.connect``;
        ``calling.call.connect`` tells of connecting, connected, disconnected and failed.
        """
        given = {
            "devices": devices,
            "ringback": ringback,
            "tag": tag,
            "max_duration": max_duration,
            "max_price_per_minute": max_price_per_minute,
            "status_url": status_url,
        }
        return await self._command("connect", given, kwargs)

    async def disconnect(self) -> JsonObject:
        """Undo the bridge. Wire: ``calling.disconnect``; ``calling.call.connect`` tells of disconnected."""
        return await self._command("disconnect", {}, {})

    async def refer(self, device: Object, *, status_url: str | None = None, **kwargs: object) -> JsonObject:
        """Transfer with SIP REFER: ``{"type": "sip", "params": {"to": "sip:..."}}``.

        Wire: ``calling.refer``; ``calling.call.refer`` tells how the other side took it.
        """
        return await self._command("refer", {"device": device, "status_url": status_url}, kwargs)

    async def transfer(self, dest: str | Object, **kwargs: object) -> JsonObject:
        """Give the call to another application: a URL of SWML, ``context:<application>``, or SWML itself.

        Wire: ``calling.transfer``; no event of its own.
        """
        return await self._command("transfer", {"dest": dest}, kwargs)

    async def join_conference(
        self,
        name: str,
        *,
        muted: bool | None = None,
        beep: str | bool | None = None,
        start_on_enter: bool | None = None,
        end_on_exit: bool | None = None,
        wait_url: str | None = None,
        max_participants: int | None = None,
        record: str | None = None,
        region: str | None = None,
        trim: str | None = None,
        coach: str | None = None,
        status_callback: str | None = None,
        status_callback_event: str | None = None,
        status_callback_event_type: str | None = None,
        status_callback_method: str | None = None,
        recording_status_callback: str | None = None,
        recording_status_callback_event: str | None = None,
        recording_status_callback_event_type: str | None = None,
        recording_status_callback_method: str | None = None,
        stream_obj: Object | None = None,
        **kwargs: object,
    ) -> JsonObject:
        """Join a conference. ``beep``: true, false, onEnter, onExit; ``max_participants`` up to 250.

        ``record``: do-not-record, record-from-start; ``trim``: trim-silence, do-not-trim; ``region``: global, us,
        eu, ch; ``stream_obj`` is ``stream`` on the wire. Wire: ``calling.join_conference``;
        ``calling.conference`` tells of it.
        """
        given = {
            "name": name,
            "muted": muted,
            "beep": beep,
            "start_on_enter": start_on_enter,
            "end_on_exit": end_on_exit,
            "wait_url": wait_url,
            "max_participants": max_participants,
            "record": record,
            "region": region,
            "trim": trim,
            "coach": coach,
            "status_callback": status_callback,
            "status_callback_event": status_callback_event,
            "status_callback_event_type": status_callback_event_type,
            "status_callback_method": status_callback_method,
            "recording_status_callback": recording_status_callback,
            "recording_status_callback_event": recording_status_callback_event,
            "recording_status_callback_event_type": recording_status_callback_event_type,
            "recording_status_callback_method": recording_status_callback_method,
            "stream_obj": stream_obj,
        }
        return await self._command("join_conference", given, kwargs)

    async def leave_conference(self, conference_id: str, **kwargs: object) -> JsonObject:
        """Leave a conference. Wire: ``calling.leave_conference``; ``calling.conference`` tells of it."""
        return await self._command("leave_conference", {"conference_id": conference_id}, kwargs)

    async def join_room(self, name: str, *, status_url: str | None = None, **kwargs: object) -> JsonObject:
        """Join a room. Wire: ``calling.join_room``; ``calling.call.room`` tells of it."""
        return await self._command("join_room", {"name": name, "status_url": status_url}, kwargs)

    async def leave_room(self, **kwargs: object) -> JsonObject:
        """Leave the room. Wire: ``calling.leave_room``; ``calling.call.room`` tells of it."""
        return await self._command("leave_room", {}, kwargs)

    async def queue_enter(
        self, queue_name: str, *, control_id: str | None = None, status_url: str | None = None, **kwargs: object
    ) -> JsonObject:
        """Put the call into a queue. Wire: ``calling.queue.enter``; ``calling.call.queue`` tells of it."""
        return await self._command(
            "queue_enter", {"queue_name": queue_name, "status_url": status_url}, kwargs, control_id
        )

    async def queue_leave(
        self,
        queue_name: str,
        *,
        control_id: str | None = None,
        queue_id: str | None = None,
        status_url: str | None = None,
        **kwargs: object,
    ) -> JsonObject:
        """Take the call out of a queue. Wire: ``calling.queue.leave``; ``calling.call.queue`` tells of it."""
        given = {"queue_name": queue_name, "queue_id": queue_id, "status_url": status_url}
        return await self._command("queue_leave", given, kwargs, control_id)

    # ------------------------------------------------------------------ the call itself

    async def hold(self) -> JsonObject:
        """Put the call on hold. Wire: ``calling.hold``; ``calling.call.hold`` tells of it."""
        return await self._command("hold", {}, {})

    async def unhold(self) -> JsonObject:
        """Take the call off hold. Wire: ``calling.unhold``; ``calling.call.hold`` tells of it."""
        return await self._command("unhold", {}, {})

    async def denoise(self) -> JsonObject:
        """Reduce noise from now on. Wire: ``calling.denoise``; ``calling.call.denoise`` tells of it."""
        return await self._command("denoise", {}, {})

    async def denoise_stop(self) -> JsonObject:
        """Reduce noise no more. Wire: ``calling.denoise.stop``; ``calling.call.denoise`` tells of it."""
        return await self._command("denoise_stop", {}, {})

    async def echo(
        self, *, timeout: float | None = None, status_url: str | None = None, **kwargs: object
    ) -> JsonObject:
        """Send the caller's audio back, for ``timeout`` seconds (5 to 120, 60 by default).

        Wire: ``calling.echo``; ``calling.call.echo`` tells of echoing and finished.
        """
        return await self._command("echo", {"timeout": timeout, "status_url": status_url}, kwargs)

    async def bind_digit(
        self,
        digits: str,
        bind_method: str,
        *,
        bind_params: Object | None = None,
        realm: str | None = None,
        max_triggers: int | None = None,
        **kwargs: object,
    ) -> JsonObject:
        """Let the service run ``bind_method`` (``"calling.play"``, ...) when these digits are pressed.

        ``bind_params`` are its params, as on the wire, and ``params`` on the wire; ``realm`` groups bindings.
        Wire: ``calling.bind_digit``; the bound method's own events tell of it.
        """
        given = {
            "digits": digits,
            "bind_method": bind_method,
            "bind_params": bind_params,
            "realm": realm,
            "max_triggers": max_triggers,
        }
        return await self._command("bind_digit", given, kwargs)

    async def clear_digit_bindings(self, *, realm: str | None = None, **kwargs: object) -> JsonObject:
        """Forget the bindings of a realm: None for the default one, ``"all"`` for every one.

        Wire: ``calling.clear_digit_bindings``; no event.
        """
        return await self._command("clear_digit_bindings", {"realm": realm}, kwargs)

    async def user_event(self, *, event: object = None, **kwargs: object) -> JsonObject:
        """Send an event of your own; further keywords go beside ``event``, any JSON value.

        Wire: ``calling.user_event``, also the type of the event others hear.
        """
        return await self._command("user_event", {"event": event}, kwargs)

    # ------------------------------------------------------------------ fax, media, payment

    async def send_fax(
        self,
        document: str,
        *,
        identity: str | None = None,
        header_info: str | None = None,
        control_id: str | None = None,
        on_completed: OnCompleted | None = None,
        **kwargs: object,
    ) -> FaxAction:
        """Send a fax: ``document`` is the URL of a PDF, ``identity`` the sender's number, ``header_info`` a headline.

        Wire: ``calling.send_fax``, over with ``calling.call.fax`` finished; before, one of each page.
        """
        given = {"document": document, "identity": identity, "header_info": header_info}
        return await self._begin("send_fax", FaxAction, given, kwargs, control_id=control_id, on_completed=on_completed)

    async def receive_fax(
        self, *, control_id: str | None = None, on_completed: OnCompleted | None = None, **kwargs: object
    ) -> FaxAction:
        """Receive a fax. Wire: ``calling.receive_fax``, over with ``calling.call.fax`` finished."""
        return await self._begin("receive_fax", FaxAction, {}, kwargs, control_id=control_id, on_completed=on_completed)

    async def tap(
        self,
        tap: Object,
        device: Object,
        *,
        control_id: str | None = None,
        on_completed: OnCompleted | None = None,
        **kwargs: object,
    ) -> TapAction:
        """Copy the call's media to an RTP or WebSocket endpoint, the ``device``.

        ``tap`` is ``{"type": "audio", "params": {"direction": "listen" | "speak" | "both"}}``. Wire:
        ``calling.tap``, over with ``calling.call.tap`` finished.
        """
        given = {"tap": tap, "device": device}
        return await self._begin("tap", TapAction, given, kwargs, control_id=control_id, on_completed=on_completed)

    async def stream(
        self,
        url: str,
        *,
        name: str | None = None,
        codec: str | None = None,
        track: str | None = None,
        status_url: str | None = None,
        status_url_method: str | None = None,
        authorization_bearer_token: str | None = None,
        custom_parameters: Object | None = None,
        control_id: str | None = None,
        on_completed: OnCompleted | None = None,
        **kwargs: object,
    ) -> StreamAction:
        """Stream the call's audio to a WebSocket. ``track``: inbound_track, outbound_track or both_tracks.

        Wire: ``calling.stream``, over with ``calling.call.stream`` finished.
        """
        given = {
            "url": url,
            "name": name,
            "codec": codec,
            "track": track,
            "status_url": status_url,
            "status_url_method": status_url_method,
            "authorization_bearer_token": authorization_bearer_token,
            "custom_parameters": custom_parameters,
        }
        return await self._begin(
            "stream", StreamAction, given, kwargs, control_id=control_id, on_completed=on_completed
        )

    async def pay(
        self,
        payment_connector_url: str,
        *,
        control_id: str | None = None,
        input_method: str | None = None,
        status_url: str | None = None,
        payment_method: str | None = None,
        timeout: Scalar | None = None,
        max_attempts: Scalar | None = None,
        security_code: Scalar | None = None,
        postal_code: Scalar | None = None,
        min_postal_code_length: Scalar | None = None,
        token_type: Scalar | None = None,
        charge_amount: Scalar | None = None,
        currency: Scalar | None = None,
        language: Scalar | None = None,
        voice: Scalar | None = None,
        description: Scalar | None = None,
        valid_card_types: Scalar | None = None,
        parameters: Sequence[Object] | None = None,
        prompts: Sequence[Object] | None = None,
        on_completed: OnCompleted | None = None,
        **kwargs: object,
    ) -> PayAction:
        """Take a payment by DTMF. ``timeout`` in seconds; ``input_method`` is ``input`` on the wire.

        Numbers and booleans are sent as texts; give amounts as texts (``"25.90"``) to keep their zeros.
        ``parameters`` are ``{name, value}``, ``prompts`` need a ``for``. Wire: ``calling.pay``, over with the
        ``calling.call.pay`` that has a result.
        """
        given = {
            "payment_connector_url": payment_connector_url,
            "input_method": input_method,
            "status_url": status_url,
            "payment_method": payment_method,
            "timeout": timeout,
            "max_attempts": max_attempts,
            "security_code": security_code,
            "postal_code": postal_code,
            "min_postal_code_length": min_postal_code_length,
            "token_type": token_type,
            "charge_amount": charge_amount,
            "currency": currency,
            "language": language,
            "voice": voice,
            "description": description,
            "valid_card_types": valid_card_types,
            "parameters": parameters,
            "prompts": prompts,
        }
        return await self._begin("pay", PayAction, given, kwargs, control_id=control_id, on_completed=on_completed)

    # ------------------------------------------------------------------ transcription and AI

    async def transcribe(
        self,
        *,
        control_id: str | None = None,
        status_url: str | None = None,
        on_completed: OnCompleted | None = None,
        **kwargs: object,
    ) -> TranscribeAction:
        """Transcribe the call; one transcription at a time (409).

        Wire: ``calling.transcribe``, over with ``calling.call.transcribe`` finished.
        """
        return await self._begin(
            "transcribe",
            TranscribeAction,
            {"status_url": status_url},
            kwargs,
            control_id=control_id,
            on_completed=on_completed,
        )

    async def live_transcribe(
        self, action: str | Object | None = None, *, action_obj: str | Object | None = None, **kwargs: object
    ) -> JsonObject:
        """Start, stop or summarize a live transcription: ``{"start": {...}}``, ... goes out as given.

        ``action_obj`` is another name of ``action``. Wire: ``calling.live_transcribe``; ``calling.ai.transcribe.*``
        tell of it.
        """
        return await self._command(
            "live_transcribe", {"action_obj": _one("live_transcribe", action, action_obj)}, kwargs
        )

    async def live_translate(
        self,
        action: str | Object | None = None,
        *,
        action_obj: str | Object | None = None,
        status_url: str | None = None,
        **kwargs: object,
    ) -> JsonObject:
        """Start, stop, summarize or feed a live translation: ``{"start": {...}}``, ... goes out as given.

        ``action_obj`` is another name of ``action``. Wire: ``calling.live_translate``; ``calling.ai.translate.*``
        tell of it.
        """
        given = {"action_obj": _one("live_translate", action, action_obj), "status_url": status_url}
        return await self._command("live_translate", given, kwargs)

    async def ai(
        self,
        *,
        control_id: str | None = None,
        agent: str | None = None,
        prompt: Object | None = None,
        post_prompt: Object | None = None,
        post_prompt_url: str | None = None,
        post_prompt_auth_user: str | None = None,
        post_prompt_auth_password: str | None = None,
        global_data: Object | None = None,
        pronounce: Sequence[object] | None = None,
        hints: Sequence[object] | None = None,
        languages: Sequence[object] | None = None,
        SWAIG: Object | None = None,  # noqa: N803 - the vendor's name
        ai_params: Object | None = None,
        on_completed: OnCompleted | None = None,
        **kwargs: object,
    ) -> AIAction:
        """Let an AI agent talk on the call. ``ai_params`` is ``params`` on the wire.

        Wire: ``calling.ai``, over with ``calling.call.ai`` finished or error; ``calling.ai.*`` tell what it does.
        """
        given = {
            "agent": agent,
            "prompt": prompt,
            "post_prompt": post_prompt,
            "post_prompt_url": post_prompt_url,
            "post_prompt_auth_user": post_prompt_auth_user,
            "post_prompt_auth_password": post_prompt_auth_password,
            "global_data": global_data,
            "pronounce": pronounce,
            "hints": hints,
            "languages": languages,
            "SWAIG": SWAIG,
            "ai_params": ai_params,
        }
        return await self._begin("ai", AIAction, given, kwargs, control_id=control_id, on_completed=on_completed)

    async def amazon_bedrock(
        self,
        *,
        prompt: object = None,
        SWAIG: Object | None = None,  # noqa: N803 - the vendor's name
        ai_params: Object | None = None,
        global_data: Object | None = None,
        post_prompt: object = None,
        post_prompt_url: str | None = None,
        **kwargs: object,
    ) -> JsonObject:
        """Let an Amazon Bedrock agent talk on the call. ``ai_params`` is ``params`` on the wire.

        Wire: ``calling.amazon_bedrock``; no event tells of its end.
        """
        given = {
            "prompt": prompt,
            "SWAIG": SWAIG,
            "ai_params": ai_params,
            "global_data": global_data,
            "post_prompt": post_prompt,
            "post_prompt_url": post_prompt_url,
        }
        return await self._command("amazon_bedrock", given, kwargs)

    async def ai_message(
        self,
        *,
        message_text: str | None = None,
        role: str | None = None,
        reset: Object | None = None,
        global_data: Object | None = None,
        **kwargs: object,
    ) -> JsonObject:
        """Tell the AI agent something, as ``role`` system, user or assistant.

        Wire: ``calling.ai_message``; no event.
        """
        given = {"message_text": message_text, "role": role, "reset": reset, "global_data": global_data}
        return await self._command("ai_message", given, kwargs)

    async def ai_hold(self, *, timeout: Scalar | None = None, prompt: object = None, **kwargs: object) -> JsonObject:
        """Let the AI agent wait, for ``timeout`` seconds (sent as a text). Wire: ``calling.ai_hold``; no event."""
        return await self._command("ai_hold", {"timeout": timeout, "prompt": prompt}, kwargs)

    async def ai_unhold(self, *, prompt: object = None, **kwargs: object) -> JsonObject:
        """Let the AI agent go on. Wire: ``calling.ai_unhold``; no event."""
        return await self._command("ai_unhold", {"prompt": prompt}, kwargs)

    # ------------------------------------------------------------------ what the call supplies

    @abstractmethod
    async def _command(
        self, method: str, given: Mapping[str, object], further: Mapping[str, object], control_id: str | None = None
    ) -> JsonObject:
        """Send a method of the table and return its result."""

    @abstractmethod
    async def _begin(
        self,
        method: str,
        make: type[ActionT],
        given: Mapping[str, object],
        further: Mapping[str, object],
        *,
        control_id: str | None,
        on_completed: OnCompleted | None,
        over: Rule | None = None,
    ) -> ActionT:
        """Start an action of the table and return it; ``over`` replaces the table's rule of when it is over."""


def _is_first(method: str, resolve_on: str) -> bool:
    if resolve_on not in ("final", "first"):
        raise ValueError(f'{method}(): resolve_on must be "final" or "first", not {resolve_on!r}')
    return resolve_on == "first"


def _one(method: str, action: str | Object | None, action_obj: str | Object | None) -> str | Object | None:
    """Return what was given under either name; one that was not given is told as missing later."""
    if action is not None and action_obj is not None:
        raise TypeError(f"{method}(): action and action_obj are the same parameter, give one")
    return action_obj if action is None else action
