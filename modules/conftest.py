"""The scenarios of the modules use the fixtures of tests/lib."""
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
# pytest has put this folder in front; an in-tree build puts NAME.so here, which Python would take for its own.
sys.path[:] = [p for p in sys.path if os.path.abspath(p) != HERE]
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "tests"))

from lib.fixtures import *  # noqa: E402,F401,F403
