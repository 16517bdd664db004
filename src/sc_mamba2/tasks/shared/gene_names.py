"""Gene names given by the user: comma-separated, or in a file with one name per line."""

from pathlib import Path

from sc_mamba2.errors import UserError


def read_names(given: str, rule: str, option: str = "--genes") -> list[str]:
    """Return the names; raise `rule` if there are none or a file does not exist."""
    file = Path(given)
    is_file = file.is_file()
    text = file.read_text("utf-8") if is_file else given
    names = [part.strip() for part in text.replace("\n", ",").split(",") if part.strip()]
    if not names or (not is_file and ("/" in given or file.suffix in (".txt", ".csv"))):
        raise UserError(
            rule,
            found=f"no gene in '{file.name}'" if is_file else f"no file '{given}'",
            expected="gene names separated by commas, or a text file with one name per line",
            mend=f"correct {option}",
        )
    return names
