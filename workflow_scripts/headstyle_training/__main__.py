"""`python -m headstyle_training`: see `command_line`."""

import signal
import sys

from headstyle_training.command_line import main

# Worker processes import this file anew.
if __name__ == "__main__":
    # Ended by `timeout`, the processes that sculpt are ended too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    main()
