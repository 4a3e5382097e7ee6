"""A SQLite file that several use at once."""

import asyncio

from tests.sockets.responses_state.kept import another, query, stored


async def test_a_cancelled_transaction_leaves_no_lock_behind(tmp_path):
    """Such as of a request whose client leaves while others write: nobody could write any more."""
    url = f"sqlite:///{tmp_path}/tandem.db"
    async with another(url) as one, another(url) as other:

        async def use(process):
            while True:
                await query(process.database, "SELECT 1 FROM tandem_responses")
                await process.responses.add(stored("a"))

        await one.responses.add(stored("a"))
        await other.responses.add(stored("a"))
        for n in range(100):
            using = [asyncio.create_task(use(process)) for process in (one, other, other)]
            await asyncio.sleep(n * 0.0001)  # in the midst of what they do
            for task in using:
                task.cancel()
            await asyncio.wait(using)
            await one.responses.add(stored("a"))


async def test_several_open_a_new_file_at_once(tmp_path):
    for n in range(20):
        url = f"sqlite:///{tmp_path}/{n}.db"
        async with another(url) as one, another(url) as other, another(url) as third:
            await asyncio.gather(*(process.responses.add(stored("a")) for process in (one, other, third)))
