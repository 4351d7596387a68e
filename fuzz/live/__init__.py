"""Fuzzing over real sockets: a hostile service for any client, and a hostile client for any service."""
