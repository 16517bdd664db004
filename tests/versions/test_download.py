import io
import socket
import zipfile

import pytest

from sc_mamba2.errors import UserError
from sc_mamba2.versions.download import download, unpack


def no_word(*_):
    """Say nothing."""


def test_a_file_arrives_whole_and_its_bytes_are_told(site, tmp_path):
    content = bytes(range(256)) * 10_000
    told = []
    download(site.put("/a", content), tmp_path / "a", lambda *said: told.append(said))
    assert (tmp_path / "a").read_bytes() == content
    assert told[-1] == (len(content), len(content)) and len(told) > 1


@pytest.mark.parametrize(
    "answer, rule",
    [
        ({"content": b"gone", "status": 404}, "download-refused"),
        ({"content": b"a riddle for browsers", "status": 202}, "download-refused"),
        ({"content": b"half", "declared": 8}, "download-truncated"),
    ],
)
def test_every_other_answer_is_refused(site, tmp_path, answer, rule):
    with pytest.raises(UserError) as error:
        download(site.put("/a", **answer), tmp_path / "a", no_word)
    assert error.value.rule == rule


def test_a_refused_port_is_no_network(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(UserError) as error:
        download(f"http://127.0.0.1:{port}/a", tmp_path / "a", no_word)
    assert error.value.rule == "network" and "refused" in error.value.found.lower()
    assert not (tmp_path / "a").exists()


def test_a_page_in_the_place_of_an_archive_is_refused(tmp_path):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("one/cells.h5ad", b"cells")
    (tmp_path / "good.zip").write_bytes(packed.getvalue())
    (tmp_path / "page.zip").write_bytes(b"<html>log in</html>")
    unpack(tmp_path / "good.zip", "one/cells.h5ad", tmp_path / "cells", "the address")
    assert (tmp_path / "cells").read_bytes() == b"cells"
    for name, member in (("page.zip", "one/cells.h5ad"), ("good.zip", "two/cells.h5ad")):
        with pytest.raises(UserError) as error:
            unpack(tmp_path / name, member, tmp_path / "other", "the address")
        assert error.value.rule == "download-foreign"
