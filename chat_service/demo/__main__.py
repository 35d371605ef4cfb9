"""``python -m chat_service.demo``: the web chat at the address BIND (127.0.0.1) and the port PORT (8000)."""

import os
import sys

from chat_service.demo.demo_server import main

if __name__ == "__main__":
    port = os.environ.get("PORT", "8000")
    if not port.isdecimal():
        sys.exit(f"cannot start: PORT={port}: expected a number")
    main(os.environ.get("BIND") or "127.0.0.1", int(port))
