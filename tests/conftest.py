"""Lets the tests of the gate import its rooms."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "gate"))
