"""The scenarios of the modules use the fixtures of tests/lib."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "tests"))

from lib.fixtures import *  # noqa: E402,F401,F403
