"""The load: a service in a process of its own, on a WebSocket server in C, that is never to be the limit.

``python -m benchmarks.speed.gateway ORDER`` starts one client, puts one load on it, and prints as JSON what was
measured. ``ORDER`` is an ``Order``, as JSON.
"""
