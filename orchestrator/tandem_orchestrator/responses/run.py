"""Makes one response: engine pass, tool calls, next pass, until the engine is done or somebody else has to go on."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Final, Protocol

import orjson

from tandem_orchestrator.engines.dispatch import Call
from tandem_orchestrator.errors import EngineError, Refused
from tandem_orchestrator.gateway.context import is_too_long
from tandem_orchestrator.gateway.generate import Generator
from tandem_orchestrator.gateway.guard import Guard
from tandem_orchestrator.gateway.tool_loop import run_tool
from tandem_orchestrator.gateway.tool_session import Turn
from tandem_orchestrator.responses.approvals import Approved
from tandem_orchestrator.responses.compaction import compacted
from tandem_orchestrator.responses.context import Context, too_long, turns
from tandem_orchestrator.responses.create import Create
from tandem_orchestrator.responses.items import Item
from tandem_orchestrator.responses.output import COMPLETED, FAILED, INCOMPLETE, SEARCHING, Output
from tandem_orchestrator.responses.prompt import OWN_TOOLS, begun_with
from tandem_orchestrator.responses.seal import Sealer
from tandem_orchestrator.responses.session import ResponseSession
from tandem_orchestrator.responses.speech import Speech
from tandem_orchestrator.responses.tools import FILE_SEARCH, WEB_SEARCH
from tandem_orchestrator.tools.toolbox import SUCCESS, ToolCall, ToolResult

FILTERED: Final = "content_filter"
CUT: Final = {"length": "max_output_tokens", FILTERED: FILTERED}
"""Why an answer is incomplete, by the engine's reason."""

TOOL_ERROR: Final = "mcp_tool_execution_error"

Flush = Callable[[], Awaitable[None]]


class Step(Protocol):
    """Keeps how far a response is."""

    def __call__(self, *, in_tools: bool) -> Awaitable[None]:
        """Raise `GatewayError` where that cannot be kept."""


Pass = tuple[Turn, str | None, dict[int, Item]]
"""What the engine said, why it ended, and the items of the client's calls that are open."""


@dataclass(slots=True)
class Run:
    """A response in the making; `flush` sends the events that are there, and is None where nobody reads them."""

    generator: Generator
    call: Call
    session: ResponseSession
    output: Output
    create: Create
    sealer: Sealer
    speech: Speech
    approved: Sequence[Approved] = ()
    """Calls to run before the engine is asked."""
    lists: Sequence[Item] = ()
    """What tells of the tools of MCP servers."""
    heartbeat_seconds: float = 10.0
    flush: Flush | None = None
    begun: Callable[[], None] | None = None
    """Called when the engine begins to answer."""
    step: Step | None = None
    """Called before tools run, and after they have run."""
    turns_cut: int = 0
    """Turns that were taken out, so that the rest fits into the engine's context."""
    guard: Guard | None = None
    """Judges what goes in and comes out; None where nothing does."""

    async def make(self) -> str | None:
        """Run to the end; return why the answer is incomplete, None where it is whole. Raises `GatewayError`."""
        session, output = self.session, self.output
        if self.guard is not None:
            await self.guard.input(session.request, "input")
        if await self._compact():
            return None
        await self._run_approved()
        turn, reason, open_items = await self._first_pass()
        while True:
            if self.guard is not None and not await self._let_call(self.guard, turn, open_items):
                turn.calls, reason = [], FILTERED
            cut = CUT.get(reason or "")
            output.end_open(INCOMPLETE if cut and not turn.calls else COMPLETED)
            started = perf_counter()
            results = await self._serve(turn, open_items, cut)
            if self.flush is not None:
                await self.flush()
            if cut is not None or not session.goes_on(turn, results):
                return cut
            session.add_round(turn, results, perf_counter() - started)
            if session.tokens_used_up:
                return CUT["length"]
            turn, reason, open_items = await self._pass()

    async def _compact(self) -> bool:
        """Sum up what came before, if that is wanted; return whether nothing else is."""
        create, payload = self.create, self.session.payload
        if not create.compact:
            most = create.compact_threshold
            if most is None or await Context(self.generator, self.call).count(payload) <= most:
                return False
        kept = [] if create.compact else turns(payload["messages"])[-1]
        sealed, usage = await compacted(self.generator, self.call, payload, create.instructions, kept)
        self.session.add_usage(usage)
        payload["messages"] = begun_with(sealed, create.instructions)
        self._begin()
        self.output.end(self.output.begin("compaction", encrypted_content=self.sealer.close(sealed)))
        if self.flush is not None:
            await self.flush()
        return create.compact

    async def _run_approved(self) -> None:
        """Run what a person has allowed."""
        if self.approved:
            self._begin()
            started = perf_counter()
            calls = [each.call for each in self.approved]
            if self.guard is not None:
                calls = await self.guard.calls(calls, self.session)
            asked = zip(calls, self.approved, strict=True)
            running = [(call, self._begin_served(call, each.request_id)) for call, each in asked]
            results = await self._run(running)
            turn = Turn(None, calls)
            self.session.add_round(turn, results, perf_counter() - started)

    async def _first_pass(self) -> Pass:
        """Ask the engine; what its context does not hold is cut where that is allowed. Raises `BadRequest`."""
        try:
            return await self._pass()
        except Refused as error:
            if not is_too_long(error):
                raise
            context = Context(self.generator, self.call)
            if self.create.truncation != "auto":
                raise too_long(await context.excess(self.session.payload), error.message) from None
            self.turns_cut = await context.cut(self.session.payload)
        self.session.write_again()
        return await self._pass()

    def _pass(self) -> Awaitable[Pass]:
        return self._streamed_pass(self.flush) if self.flush else self._whole_pass()

    def _begin(self) -> None:
        """Tell that the engine has begun to answer, and what the MCP servers offer; a second call does nothing."""
        if self.begun is not None:
            self.begun()
            self.begun = None
        lists, self.lists = self.lists, ()
        for listed in lists:
            item = self.output.begin(**listed)
            self.output.note(item, "response.mcp_list_tools.in_progress")
            self.output.note(item, "response.mcp_list_tools.completed")
            self.output.end(item)

    async def _whole_pass(self) -> Pass:
        body = self.speech.body(self.session.next_body(stream=False))
        _, answer = await self.generator.engines.complete(self.call, body)
        spoken = self.speech.whole(answer)
        self._begin()
        self.session.add_usage(spoken.usage)
        turn = spoken.turn
        told = (turn.content, *turn.reasoning.values())
        if self.guard is not None and not await self.guard.turn(turn):
            return Turn(), FILTERED, {}
        for text in turn.reasoning.values():
            self.output.think(text)
            break
        if turn.content or not (turn.calls or self.output.items):
            unchanged = told == (turn.content, *turn.reasoning.values())
            self.output.say(turn.content or "", spoken.logprobs if unchanged else None)  # they hold what was masked
        return turn, spoken.finish_reason, {}

    async def _streamed_pass(self, flush: Flush) -> Pass:
        body = self.speech.body(self.session.next_body(stream=True))
        response = await self.generator.engines.stream(self.call, body)
        turn = self.speech.streamed(self.output, self.session)
        failure: EngineError | None = None
        try:
            if self.begun is not None:
                self._begin()
                await flush()  # ahead of what is read now, which takes longer to write than all that is told so far
            while data := await response.read():
                turn.read(data)
                await flush()
            turn.end()
        except EngineError as error:
            if not turn.complete:
                failure = error
                raise
        finally:
            usage = turn.charge(body)
            response.count_usage(usage)
            response.close(failure)
            self.session.add_usage(turn.usage or usage)
        whole = turn.turn()
        if not (whole.content or whole.calls or self.output.items):
            self.output.say("")
        return whole, turn.finish_reason, turn.opened()

    async def _let_call(self, guard: Guard, turn: Turn, open_items: dict[int, Item]) -> bool:
        """Judge the calls of a turn that nobody has been told of yet; return false where the client must not be."""
        for index, call in enumerate(turn.calls):
            if index not in open_items:
                (turn.calls[index],) = await guard.calls([call], self.session)
        return not any(call in self.session.forbidden for call in self.session.client_calls(turn))

    async def _serve(self, turn: Turn, open_items: dict[int, Item], cut: str | None) -> list[ToolResult]:
        """Make items of the turn's calls, and run those that are to run here."""
        to_run = [] if cut else self.session.server_calls(turn)
        running: list[tuple[ToolCall, Item]] = []
        last = len(turn.calls) - 1 if cut else None
        for index, call in enumerate(turn.calls):
            if self.session.is_clients(call.name):
                self._client_call(call, open_items.get(index), INCOMPLETE if index == last else COMPLETED)
            elif self.session.needs_consent(call) and index != last:
                self._ask_consent(call)
            elif call in to_run:
                running.append((call, self._begin_served(call)))
        if not running:
            return []
        if self.flush is not None:
            await self.flush()
        return await self._run(running)

    def _client_call(self, call: ToolCall, item: Item | None, status: str) -> None:
        output = self.output
        if call.name in self.session.tools.free:
            item = output.begin("custom_tool_call", call_id=call.id, name=call.name, input="")
            item["input"] = _free_text(call.arguments)
            output.note(item, "response.custom_tool_call_input.delta", delta=item["input"])
            output.note(item, "response.custom_tool_call_input.done", input=item["input"])
        else:
            if item is None:
                item = output.begin("function_call", call_id=call.id, name=call.name, arguments="")
                output.note(item, "response.function_call_arguments.delta", delta=call.arguments)
            item["arguments"] = call.arguments
            output.note(item, "response.function_call_arguments.done", arguments=call.arguments, name=call.name)
        item["status"] = status
        output.end(item)

    def _ask_consent(self, call: ToolCall) -> None:
        served = self.session.tools.served[call.name]
        item = self.output.begin(
            "mcp_approval_request", server_label=served.label, name=served.name, arguments=call.arguments
        )
        self.output.end(item)

    def _begin_served(self, call: ToolCall, request_id: str | None = None) -> Item:
        """Begin the item of a call that runs here."""
        output = self.output
        served = self.session.served(call.name)
        if served is not None and served.label == OWN_TOOLS and served.name in (FILE_SEARCH, WEB_SEARCH):
            return self._begin_search(call)
        label, name = (served.label, served.name) if served else (OWN_TOOLS, call.name)
        fields = {"server_label": label, "name": name, "arguments": "", "output": None, "error": None}
        item = output.begin("mcp_call", **fields, approval_request_id=request_id)
        item["arguments"] = call.arguments
        output.note(item, "response.mcp_call.in_progress")
        output.note(item, "response.mcp_call_arguments.delta", delta=call.arguments)
        output.note(item, "response.mcp_call_arguments.done", arguments=call.arguments)
        return item

    def _begin_search(self, call: ToolCall) -> Item:
        output, arguments = self.output, _arguments(call.arguments)
        if call.name == WEB_SEARCH:
            item = output.begin("web_search_call", action={"type": "search", **arguments})
        else:
            queries = arguments.get("queries")
            asked = [query for query in queries if isinstance(query, str)] if isinstance(queries, list) else []
            item = output.begin("file_search_call", queries=asked, results=None)
        output.note(item, f"response.{item['type']}.in_progress")
        item["status"] = SEARCHING
        output.note(item, f"response.{item['type']}.searching")
        return item

    def _end_served(self, item: Item, result: ToolResult) -> None:
        failed = result.status != SUCCESS
        item["status"] = FAILED if failed else COMPLETED
        if item["type"] == "mcp_call":
            if failed:
                item["error"] = {"type": TOOL_ERROR, "content": [{"type": "text", "text": result.content}]}
            else:
                item["output"] = result.content
            self.output.note(item, "response.mcp_call.failed" if failed else "response.mcp_call.completed")
        else:
            self._end_search(item, result)
        self.output.end(item)

    def _end_search(self, item: Item, result: ToolResult) -> None:
        if result.passages is not None:
            item["results"] = [passage.result for passage in result.passages]
        elif item["type"] == "web_search_call":
            item["results"] = result.content
        if item["status"] == COMPLETED or item["type"] == "web_search_call":
            self.output.note(item, f"response.{item['type']}.completed")

    async def _run(self, running: Sequence[tuple[ToolCall, Item]]) -> list[ToolResult]:
        """Run calls side by side; each item ends when its call does. The results are in the order of the calls."""
        if self.step is not None:
            await self.step(in_tools=True)
        results = await self._run_all(running)
        if self.step is not None:
            await self.step(in_tools=False)
        return results

    async def _run_all(self, running: Sequence[tuple[ToolCall, Item]]) -> list[ToolResult]:
        async def one(call: ToolCall, item: Item) -> ToolResult:
            result = await run_tool(call, self.session, self.call.record, self.guard)
            self._end_served(item, result)
            if self.flush is not None:
                await self.flush()
            return result

        if len(running) == 1 and self.flush is None:  # a task costs more than a calculation
            return [await one(*running[0])]
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(call, item)) for call, item in running]
            waiting = set(tasks)
            while waiting:
                _, waiting = await asyncio.wait(waiting, timeout=self.heartbeat_seconds)
                if waiting and self.call.heartbeat is not None:
                    await self.call.heartbeat()
        return [task.result() for task in tasks]


def _arguments(text: str) -> dict[str, Any]:
    try:
        found = orjson.loads(text or "{}")
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def _free_text(arguments: str) -> str:
    text = _arguments(arguments).get("input")
    return text if isinstance(text, str) else arguments
