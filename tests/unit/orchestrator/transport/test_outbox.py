import asyncio

from tandem_orchestrator.transport.outbox import FEW, MOST_BYTES, outbox_of


class Wire(asyncio.Transport):
    def __init__(self, order):
        super().__init__()
        self._order = order
        self.closed = False

    def write(self, data):
        self._order.append((self, bytes(data)))

    def writelines(self, list_of_data):
        self.write(b"".join(list_of_data))

    def is_closing(self):
        return self.closed


def busy_outbox():
    outbox = outbox_of(asyncio.get_running_loop())
    outbox.under_way = FEW
    return outbox


async def test_writes_of_few_requests_leave_at_once_and_in_order():
    outbox = busy_outbox()
    order: list[tuple[Wire, bytes]] = []
    one, other = Wire(order), Wire(order)
    outbox.write(one, b"a")
    outbox.under_way = FEW - 1
    outbox.write(other, b"x")
    outbox.write(one, b"b")
    assert order == [(other, b"x")], "what waits already is not overtaken"
    await asyncio.sleep(0)
    assert order[1:] == [(one, b"ab")]


async def test_writes_of_one_turn_leave_together_after_it():
    outbox = busy_outbox()
    order: list[tuple[Wire, bytes]] = []
    one, other = Wire(order), Wire(order)
    outbox.write(one, b"a")
    outbox.write(one, b"b")
    outbox.write(other, b"x")
    outbox.write(one, b"c")
    assert order == []
    await asyncio.sleep(0)
    assert order == [(one, b"abc"), (other, b"x")]
    outbox.write(other, b"y")
    await asyncio.sleep(0)
    assert order[2:] == [(other, b"y")]


async def test_what_is_much_leaves_at_once_and_in_order():
    outbox = busy_outbox()
    order: list[tuple[Wire, bytes]] = []
    wire, much = Wire(order), b"x" * MOST_BYTES
    outbox.write(wire, b"before")
    outbox.write(wire, much)
    assert order == [(wire, b"before" + much)]
    outbox.write(wire, b"after")
    await asyncio.sleep(0)
    assert order[1:] == [(wire, b"after")]


async def test_nothing_is_written_where_the_connection_was_cut():
    outbox = busy_outbox()
    order: list[tuple[Wire, bytes]] = []
    cut, whole = Wire(order), Wire(order)
    outbox.write(cut, b"a")
    outbox.write(whole, b"b")
    cut.closed = True
    await asyncio.sleep(0)
    assert order == [(whole, b"b")]
    outbox.under_way = 0
    outbox.write(cut, b"c")
    assert order == [(whole, b"b")]


def test_each_loop_has_one_of_its_own():
    async def own():
        loop = asyncio.get_running_loop()
        assert outbox_of(loop) is outbox_of(loop)
        outbox_of(loop).write(Wire([]), b"never sent: the loop ends first")
        return outbox_of(loop)

    assert asyncio.run(own()) is not asyncio.run(own())
