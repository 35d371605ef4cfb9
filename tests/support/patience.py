"""How long tests wait for an expected event. The time is long, because tests do not judge a machine's
speed.
"""

import os
from typing import Final

#: Maximum time in seconds. A wait ends as soon as its condition is true, so only failing tests take this
#: long. The waits of ``chat_service.testing`` use the same variable.
PATIENCE: Final = float(os.environ.setdefault("CHAT_TEST_PATIENCE", "60"))
