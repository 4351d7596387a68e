"""``python -m fuzz``: fuzz the core, a live service, or a live client.

run       all targets, or those named, for --seconds in all; exit code 1 if something was found
replay    run corpus files through their targets: the whole corpus, one target, or given files
seeds     write the seeds of the corpus, from conversations of the core with itself
list      name the targets
peer      drive a service at a ws:// or wss:// address, and judge how it takes it
client    serve hostile scripts to a client, and judge it from outside
"""

import argparse
import sys
from pathlib import Path


def main(argv: list[str]) -> int:
    """Run one command and return its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m fuzz", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    run = commands.add_parser("run", help="fuzz the core")
    run.add_argument("targets", nargs="*", help="targets (default: all)")
    run.add_argument("--seconds", type=float, default=60.0, help="in all, divided among the targets (default: 60)")
    run.add_argument("--keep", action="store_true", help="add what reaches something new to the corpus")
    replay = commands.add_parser("replay", help="run corpus files")
    replay.add_argument("target", nargs="?", help="one target (default: all)")
    replay.add_argument("files", nargs="*", type=Path, help="files (default: its corpus)")
    commands.add_parser("seeds", help="write the seeds")
    commands.add_parser("list", help="name the targets")
    _add_live(commands)
    options = parser.parse_args(argv)
    return _COMMANDS[options.command](options)


def _add_live(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    peer = commands.add_parser("peer", help="drive a service")
    peer.add_argument("url", help="base address of the service, such as ws://127.0.0.1:8080")
    peer.add_argument("--seconds", type=float, default=60.0, help="stop after that (default: 60)")
    peer.add_argument("--api-key", default="test-key")
    peer.add_argument("--connector", default="test-connector")
    client = commands.add_parser("client", help="serve scripts to a client")
    client.add_argument("--port", type=int, default=0, help="port to listen on (default: any)")
    client.add_argument("--against", choices=["official", "ours", "both"], help="start this client for every script")
    client.add_argument("--only", nargs="*", default=[], metavar="SCRIPT", help="these scripts only")
    client.add_argument("--report", type=Path, help="write the report to this file, too")


def _run(options: argparse.Namespace) -> int:
    from fuzz.run import run  # noqa: PLC0415 - each command loads what it needs
    from fuzz.targets import TARGETS  # noqa: PLC0415

    unknown = [name for name in options.targets if name not in TARGETS]
    if unknown:
        print(f"no such target: {', '.join(unknown)}; there are: {', '.join(TARGETS)}", file=sys.stderr)
        return 2
    return min(1, run(options.targets or list(TARGETS), seconds=options.seconds, keep=options.keep))


def _replay(options: argparse.Namespace) -> int:
    from fuzz.run import replay  # noqa: PLC0415
    from fuzz.targets import TARGETS  # noqa: PLC0415

    if options.files:
        for path in options.files:
            print(path)
            TARGETS[options.target](path.read_bytes())
        return 0
    count = 0
    for name, path in replay([options.target] if options.target else list(TARGETS)):
        print(name, path.name)
        count += 1
    print(f"{count} inputs, no findings")
    return 0


def _seeds(_options: argparse.Namespace) -> int:
    from fuzz.seeds import write_seeds  # noqa: PLC0415

    print(f"{write_seeds()} seeds")
    return 0


def _list(_options: argparse.Namespace) -> int:
    from fuzz.targets import TARGETS  # noqa: PLC0415

    for name, target in TARGETS.items():
        print(f"{name:18} {(target.__doc__ or '').splitlines()[0]}")
    return 0


def _peer(options: argparse.Namespace) -> int:
    from fuzz.live.service import run  # noqa: PLC0415

    return run(options.url, seconds=options.seconds, api_key=options.api_key, connector=options.connector)


def _client(options: argparse.Namespace) -> int:
    from fuzz.live.client import run  # noqa: PLC0415

    return run(port=options.port, against=options.against, only=options.only, report=options.report)


_COMMANDS = {"run": _run, "replay": _replay, "seeds": _seeds, "list": _list, "peer": _peer, "client": _client}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
