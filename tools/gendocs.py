"""Write the generated pages of docs/, or list outdated ones with --check."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools.gendocs.main import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
