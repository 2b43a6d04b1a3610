"""Who drives a study, before a signal is sent there."""

import os
import time

import psutil

from sweeps.answer import is_driver
from sweeps.records import Holder


def test_a_process_younger_than_the_drivers_last_word_is_not_the_driver() -> None:
    began = psutil.Process().create_time()
    assert is_driver(Holder(host="here", pid=os.getpid(), heartbeat_at=time.time()))
    assert not is_driver(Holder(host="here", pid=os.getpid(), heartbeat_at=began - 1))


def test_a_process_that_is_gone_is_not_the_driver() -> None:
    unused = next(pid for pid in range(30000, 2, -1) if not psutil.pid_exists(pid))
    assert not is_driver(Holder(host="here", pid=unused, heartbeat_at=time.time()))
