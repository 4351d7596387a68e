"""The clients that are measured, a process each: ``python -m benchmarks.speed.clients CLIENT JOB URL``.

A client takes every call that comes and does the job on it, until the process is ended.
"""
