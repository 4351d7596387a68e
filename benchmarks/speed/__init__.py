"""How fast it is, beside the vendor's clients: ``python -m benchmarks``."""
