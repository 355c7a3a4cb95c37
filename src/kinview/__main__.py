"""``python -m kinview COMMAND [options]``, the form that launchers of several processes take."""

import sys

from kinview.cli import main

if __name__ == "__main__":
    sys.exit(main())
