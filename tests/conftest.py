"""Lets the tests of the project import the reader of examples, and the rooms of the gate."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE / "gate")]
