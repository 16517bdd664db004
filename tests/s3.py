"""A server of S3 on loopback (moto), and the environment in which every client asks it."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

SETTINGS = {
    "AWS_ACCESS_KEY_ID": "me",
    "AWS_SECRET_ACCESS_KEY": "mine",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": "no-such-file",
    "AWS_SHARED_CREDENTIALS_FILE": "no-such-file",
    "NO_PROXY": "127.0.0.1",
}


@contextmanager
def running_s3(bucket: str) -> Iterator[str]:
    """Start the server with a bucket and give the address of that; skip where moto or s3fs lacks."""
    moto = pytest.importorskip("moto.server", reason="needs moto[server]")
    s3fs = pytest.importorskip("s3fs", reason="needs the extra remote")
    server = moto.ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    with pytest.MonkeyPatch.context() as patch:
        host, port = server.get_host_and_port()
        for name, value in (SETTINGS | {"AWS_ENDPOINT_URL": f"http://{host}:{port}"}).items():
            patch.setenv(name, value)
        s3fs.S3FileSystem.clear_instance_cache()
        s3fs.S3FileSystem().mkdir(bucket)
        yield f"s3://{bucket}"
        s3fs.S3FileSystem.clear_instance_cache()
    server.stop()
