import socket
from pathlib import Path

import pytest

from hack.cluster import checks
from hack.failure import Failure


def test_disk_is_measured_where_the_folder_will_be(tmp_path: Path) -> None:
    checks.disk(tmp_path / "not" / "there" / "yet", 0, "it")
    with pytest.raises(Failure, match=r"it needs 1000000 GiB of disk below .*TANDEM_CACHE="):
        checks.disk(tmp_path / "not" / "there" / "yet", 1_000_000, "it")


def test_memory_is_what_the_kernel_calls_available() -> None:
    assert checks.available_memory("MemTotal: 9 kB\nMemFree: 1 kB\nMemAvailable:    4 kB\n") == 4096
    with pytest.raises(Failure, match=r"needs 1000000\.0 GiB of free memory"):
        checks.memory(1_000_000, "it")


def test_a_port_that_somebody_listens_on_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(Failure, match=f"listens on: {port} "):
            checks.ports([port], "it")
    checks.ports([port], "it")
