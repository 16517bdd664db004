"""`python -m sc_mamba2` is `scm`."""

from sc_mamba2.commands import app

if __name__ == "__main__":
    app()
