"""How long tests wait for something that has to come: long, since no test judges how fast a machine is."""

import os
from typing import Final

#: Seconds. A wait ends as soon as what it waits for is there; only a test that fails takes so long. The waits
#: of ``chat_service.testing`` go by the same variable.
PATIENCE: Final = float(os.environ.setdefault("CHAT_TEST_PATIENCE", "60"))
