"""What a person may choose about the scan. It imports nothing heavy."""

from typing import Literal

ScanPath = Literal["auto", "reference", "blocked", "fused", "kernels", "twice"]
