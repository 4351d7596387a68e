"""Every target by name. A target takes bytes and raises only where something is broken.

The same function runs under atheris, under the random runner, and under pytest on the corpus.
"""

from collections.abc import Callable

from fuzz.targets.control import control_client, control_server
from fuzz.targets.handshake import handshake_client, handshake_server
from fuzz.targets.media import media_audio, media_client, media_server
from fuzz.targets.relay import relay_client, relay_frames, relay_server
from fuzz.targets.texts import handover, json_text, media_url, transcript
from fuzz.targets.websocket import websocket_client, websocket_server

Target = Callable[[bytes], None]

_ALL: tuple[Target, ...] = (
    websocket_client,
    websocket_server,
    handshake_client,
    handshake_server,
    json_text,
    control_client,
    control_server,
    media_client,
    media_server,
    media_audio,
    handover,
    media_url,
    transcript,
    relay_frames,
    relay_client,
    relay_server,
)

TARGETS: dict[str, Target] = {target.__name__: target for target in _ALL}
