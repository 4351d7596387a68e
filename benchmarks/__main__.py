"""``python -m benchmarks``: how fast it is, beside the vendor's clients. ``--help`` says more."""

import sys

from benchmarks.speed.main import main

sys.exit(main())
