from pathlib import Path

from hack.cluster import mounts

MOUNTINFO = r"""
21 1 254:0 / / rw - ext4 /dev/vda rw
30 21 0:5 / /run/tandem/a rw - tmpfs tmpfs rw
31 30 0:6 / /run/tandem/a/b rw - tmpfs tmpfs rw
32 21 0:7 / /run/tandem-other rw - tmpfs tmpfs rw
33 21 0:8 / /cache/with\040blank/kubelet rw - tmpfs tmpfs rw
""".lstrip()


def test_the_innermost_comes_first_and_what_is_elsewhere_is_left() -> None:
    folders = [Path("/run/tandem"), Path("/cache/with blank")]
    assert mounts.points_below(MOUNTINFO, folders) == [
        "/cache/with blank/kubelet",
        "/run/tandem/a/b",
        "/run/tandem/a",
    ]
