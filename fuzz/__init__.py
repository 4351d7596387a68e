"""Fuzzing: the core's parsers and machines, a live service, a live client. ``python -m fuzz`` lists the commands."""
