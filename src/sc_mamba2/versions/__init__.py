"""Data and checkpoints by name: a registry of public ones, download, sha256, and DVC for the versions.

`data` and `checkpoints` are what the commands call. DVC is asked as a program, never imported; the
network is used by `download` alone; the Hugging Face Hub stands in `model.hub`.
"""
