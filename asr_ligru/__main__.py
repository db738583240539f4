"""``python -m asr_ligru`` is the command ``asr-ligru``."""

import sys

from asr_ligru.cli import main

if __name__ == "__main__":
    sys.exit(main())
