"""``python -m telcoflow_anyio``: the demo and the gateway from the shell."""

import sys

_USAGE = """usage: python -m telcoflow_anyio COMMAND [OPTIONS]

commands:
  demo      place a call through a local gateway and let it talk to a small agent
  gateway   serve a local phone network until interrupted

COMMAND --help lists the options of each."""


def main(argv: list[str]) -> int:
    """Run one command and return its exit code; 2 for one that does not exist."""
    command, options = (argv[0], argv[1:]) if argv else ("", [])
    try:
        if command == "demo":
            from telcoflow_anyio import demo  # noqa: PLC0415 - needs the gateway extra

            return demo.run(options)
        if command == "gateway":
            from telcoflow_anyio.gateway import main as gateway  # noqa: PLC0415 - needs the gateway extra

            return gateway.run(options)
    except ModuleNotFoundError as missing:
        print(f"{missing.name} is not installed: pip install 'telcoflow-proto[gateway]'", file=sys.stderr)
        return 2
    print(_USAGE, file=sys.stdout if command in ("-h", "--help") else sys.stderr)
    return 0 if command in ("-h", "--help") else 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
