from tests.sockets.batches.conftest import brisk  # noqa: F401 # a fixture
from tests.sockets.fair_share.conftest import crowd  # noqa: F401 # as above
