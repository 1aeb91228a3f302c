"""`python -m claimbench` is the command `claimbench`."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
