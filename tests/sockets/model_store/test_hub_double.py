"""The double speaks as the hub does: its own client is content."""

import subprocess
import sys

import pytest

from tests.sockets.model_store.conftest import REPOSITORY, SHARD

DOWNLOAD = """
import sys
from huggingface_hub import hf_hub_download
hf_hub_download(sys.argv[1], sys.argv[2], local_dir=sys.argv[3])
"""


@pytest.mark.parametrize("xet", ["0", "1"])
@pytest.mark.parametrize("path", ["config.json", SHARD])
def test_huggingface_hub_downloads_from_it(hub, commit, tmp_path, path, xet) -> None:
    hub.cuts[SHARD] = [100_000]
    variables = {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path), "HF_HUB_DISABLE_XET": xet}
    command = [sys.executable, "-c", DOWNLOAD, REPOSITORY, path, str(tmp_path / "there")]
    subprocess.run(command, env=variables, check=True, timeout=60, capture_output=True)
    assert (tmp_path / "there" / path).read_bytes() == commit.files[path]
