"""What a stored message takes in the memory of the process, as the operating system counts it."""

import subprocess
import sys
from pathlib import Path

import pytest

#: Prints the bytes of resident memory that each message takes.
PROGRAM = """
import os, sys
from pathlib import Path
from chat_service.stores.memory.history import History

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

count = 40_000
history = History(count)
before = resident()
for number in range(count):
    history.append({"textMessage": "hello, how are you today?", "timestamp": number, "author": "alice"})
assert history.size == count
print((resident() - before) / count)
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux")
def test_a_short_message_takes_little_memory() -> None:
    """The encoder's results hold on to their buffers: a message of 94 bytes took 4.1 KB."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert 80 < float(done.stdout) < 400
