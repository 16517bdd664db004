"""Data and checkpoints by name: a registry of public ones, download, sha256, and versions by DVC.

The commands call `data` and `checkpoints`. DVC is run as a program, never imported; only `download` uses
the network; the Hugging Face Hub is in `model.hub`.
"""
