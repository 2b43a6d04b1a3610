"""One thread for arithmetic in every process of the tests: two at a time share the processors, and more threads only fight."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
