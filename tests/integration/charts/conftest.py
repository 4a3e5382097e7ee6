"""An API server of its own, for it is installed into and uninstalled from."""

from collections.abc import Iterator

import pytest

from hack.cluster.control_plane import ControlPlane
from tests.integration.charts.installation import Installation


@pytest.fixture(scope="package")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    plane = ControlPlane(tmp_path_factory.mktemp("control-plane"))
    try:
        yield Installation(plane.start())
    finally:
        plane.stop()
