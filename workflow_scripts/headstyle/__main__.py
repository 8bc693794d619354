"""`python -m headstyle`: the command `headstyle`."""

import sys

from headstyle.commands.main import main

if __name__ == "__main__":
    sys.exit(main())
