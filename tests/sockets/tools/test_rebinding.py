"""Names that lead inside, by way of the machine's own resolver and a real name server."""

import asyncio
import sys

import pytest

from tests.sockets.tools.own_network import NOT_HERE

CASES = [
    "a_name_that_moves_inside",
    "a_name_with_a_second_address_inside",
    "a_redirect_to_a_name_inside",
    "metadata_behind_a_name",
    "a_configured_name_may_be_inside",
]


@pytest.mark.parametrize("case", CASES)
async def test_rebinding(case):
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.sockets.tools.own_network", case), stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(60):
        _, said = await process.communicate()
    if process.returncode == NOT_HERE:
        pytest.skip(f"the kernel gives no network of its own: {said.decode()}")
    assert process.returncode == 0, said.decode()
