"""`python -m headstyle_training`: see `command_line`."""

from headstyle_training.command_line import main

# Worker processes import this file anew.
if __name__ == "__main__":
    main()
