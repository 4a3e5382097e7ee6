from typing import Any, cast

import pytest

from hack.cluster import addons
from hack.failure import Failure


def test_an_addon_that_does_not_come_up_is_shown_with_its_pods_and_warnings() -> None:
    def kubectl(*arguments: str) -> str:
        if "rollout" in arguments:
            raise Failure("timed out")
        return "coredns-1 0/1 ImagePullBackOff" if "pods" in arguments else "BackOff pulling tandem.local/coredns:1"

    with pytest.raises(Failure, match=r"timed out\ncoredns-1 0/1 ImagePullBackOff\n  \| BackOff pulling"):
        addons.wait(cast("Any", kubectl), "coredns", 1)
