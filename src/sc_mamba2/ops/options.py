"""User options of the scan. Imports nothing heavy."""

from typing import Literal

ScanPath = Literal["auto", "reference", "blocked", "fused", "kernels", "twice"]
