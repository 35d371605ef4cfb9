"""``python -m chat_service.demo``: the web chat on the port PORT (8000)."""

import os
import sys

from chat_service.demo.server import main

if __name__ == "__main__":
    port = os.environ.get("PORT", "8000")
    if not port.isdecimal():
        sys.exit(f"cannot start: PORT={port}: expected a number")
    main(port=int(port))
