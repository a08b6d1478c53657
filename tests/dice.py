"""Whether examples that are made up are others each time (`TESTS_AT_RANDOM=1`) or always the same ones."""

import os

AT_RANDOM = bool(os.environ.get("TESTS_AT_RANDOM"))
