"""Whole dialogues to train on: a set of tools and a few rounds, in the shape of the OpenAI API."""

import random
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from hack.demo_model import (
    calculations,
    documents,
    expressions,
    facts,
    people,
    places,
    quantities,
    records,
    small_talk,
    tickets,
    tools,
    weather,
)
from hack.demo_model.phrases import STATEMENT, Clause, say
from hack.demo_model.split import trained

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Message = dict[str, Any]

ROUND_COUNTS: Final = (1, 1, 1, 1, 1, 1, 2, 2, 3, 5)
TOOL_FAILS: Final = 0.06
NOTHING_FOUND: Final = 0.08
TICKETS: Final = 0.27
TICKETS_WITH_TOOLS: Final = 0.15  # of the tickets: a gateway offers its tools where a task does not switch them off
OTHER_REPLIES: Final = 0.15  # a fact may have been acknowledged by another model, in other words


@dataclass
class Dialogue:
    """What a dialogue offers and has said so far; `told` maps a fact's key in `FACTS` to its value."""

    tools: list[dict[str, Any]]
    messages: list[Message] = field(default_factory=list)
    told: dict[str, str] = field(default_factory=dict)

    def user(self, text: str) -> None:
        """Let the user say `text`."""
        self.messages.append({"role": "user", "content": text})

    def assistant(self, text: str, given: str = "") -> None:
        """Let the model say `text`; `given` is the start of it that it is not trained to choose."""
        self.messages.append({"role": "assistant", "content": text, "given": given})


@dataclass(frozen=True)
class Task:
    """One thing to ask for that needs a tool: the words, the call, what the tool returns, and the answer."""

    clause: Clause
    call: dict[str, Any]
    returned: str
    answer: str
    unavailable: str

    @property
    def tool(self) -> str:
        """The name of the tool that the task needs."""
        return str(self.call["function"]["name"])


def calculation(rng: random.Random) -> Task:
    """Return a task for calculate_math."""
    if rng.random() < 0.06:
        asked, expression = expressions.spoken(rng)
    else:
        asked = expression = trained(rng, expressions.expression)
    value = trained(rng, quantities.result)
    returned, answer = calculations.tool_result(rng, expression, value), calculations.answer(expression, value)
    if rng.random() < TOOL_FAILS:
        returned, answer = tools.failure(rng, rng.choice(calculations.REASONS)), calculations.FAILED
    call = tools.call(tools.CALCULATE, expression=expression)
    return Task(calculations.clause(rng, asked), call, returned, answer, calculations.UNAVAILABLE)


def forecast(rng: random.Random, *, takes_unit: bool) -> Task:
    """Return a task for get_current_weather; asks for a unit in one of six where the tool takes one."""
    location = trained(rng, places.place)
    unit = rng.choice(tuple(weather.UNITS)) if takes_unit and rng.random() < 0.16 else ""
    arguments = {"location": location, "unit": unit} if unit else {"location": location}
    found = location if rng.random() < 0.85 else trained(rng, places.place)
    report = weather.report(rng, found, unit)
    returned = weather.tool_result(rng, report)
    answer = (report if found in returned else replace(report, location=location)).sentence()
    if rng.random() < TOOL_FAILS:
        returned, answer = tools.failure(rng, rng.choice(weather.REASONS)), weather.FAILED
    clause = weather.clause(rng, location, unit)
    return Task(clause, tools.call(tools.WEATHER, **arguments), returned, answer, weather.UNAVAILABLE)


def use_tools(rng: random.Random, dialogue: Dialogue) -> None:
    """Ask for one or two things that need a tool; say so plainly when the dialogue has no tool for the first."""
    takes_unit = tools.takes_unit(dialogue.tools)
    draws: Sequence[Callable[[], Task]] = (lambda: calculation(rng), lambda: forecast(rng, takes_unit=takes_unit))
    tasks = [rng.choice(draws)() for _ in range(rng.choice((1, 1, 1, 2)))]
    offered = tools.names(dialogue.tools)
    if any(task.tool not in offered for task in tasks):
        dialogue.user(say(rng, tasks[0].clause))
        tasks = tasks[:1]
    else:
        dialogue.user(say(rng, *(task.clause for task in tasks)))
    if tasks[0].tool not in offered:
        dialogue.assistant(tasks[0].unavailable)
        return
    dialogue.messages.append({"role": "assistant", "content": None, "tool_calls": [task.call for task in tasks]})
    dialogue.messages += [{"role": "tool", "content": task.returned} for task in tasks]
    dialogue.assistant(" ".join(task.answer for task in tasks))


def look_up(rng: random.Random, dialogue: Dialogue) -> None:
    """Ask for what stands in a document, or seldom for what the search does not find."""
    asked = documents.statement(rng)
    dialogue.user(asked.question)
    search = tools.call(tools.SEARCH, queries=[asked.question])
    dialogue.messages.append({"role": "assistant", "content": None, "tool_calls": [search]})
    missing = rng.random() < NOTHING_FOUND
    found = documents.nothing() if missing else documents.found(rng, asked.sentence)
    dialogue.messages.append({"role": "tool", "content": found})
    dialogue.assistant(documents.UNKNOWN if missing else asked.sentence)


def tell_fact(rng: random.Random, dialogue: Dialogue) -> None:
    """Tell one or two facts."""
    keys = rng.sample(tuple(facts.FACTS), rng.choice((1, 1, 2)))
    if "name" not in dialogue.told and "name" not in keys and rng.random() < 0.35:
        keys[0] = "name"
    clauses, replies = [], []
    for key in keys:
        fact = facts.FACTS[key]
        dialogue.told[key] = value = trained(rng, fact.draw)
        clauses.append(Clause(rng.choice(fact.told), value, STATEMENT))
        replies.append(fact.noted.format(value))
    dialogue.user(say(rng, *clauses))
    if rng.random() < OTHER_REPLIES:
        reply, _ = small_talk.chat(rng)
        dialogue.assistant(reply, given=reply)
    else:
        dialogue.assistant(" ".join(replies))


def ask_fact(rng: random.Random, dialogue: Dialogue) -> None:
    """Ask for a fact, seldom for one that was not told."""
    key = rng.choice(tuple(dialogue.told)) if dialogue.told and rng.random() < 0.9 else rng.choice(tuple(facts.FACTS))
    fact = facts.FACTS[key]
    dialogue.user(rng.choice(fact.asked))
    dialogue.assistant(fact.repeated.format(dialogue.told[key]) if key in dialogue.told else fact.unknown)


def repeat(rng: random.Random, dialogue: Dialogue) -> None:
    """Ask for words and numbers to be repeated as they are."""
    draws = (places.place, people.person, quantities.result, expressions.expression, weather.condition)
    text = " ".join(trained(rng, rng.choice(draws)) for _ in range(rng.choice((1, 2, 3, 4, 5))))
    dialogue.user(rng.choice(("Repeat: {}", "Say {}", "repeat after me: {}")).format(text))
    dialogue.assistant(text)


def copying(rng: random.Random) -> Dialogue:
    """Return a dialogue that is nothing but copying."""
    made = Dialogue([])
    repeat(rng, made)
    return made


def talk(rng: random.Random, dialogue: Dialogue) -> None:
    """Add small talk, a capital, a question without an answer, or an answer in JSON."""
    chat, capital = small_talk.chat, small_talk.capital
    if rng.random() < 0.3:
        question, answer = records.record(rng)
        dialogue.user(question)
        dialogue.assistant(answer, given=records.OPENING)
        return
    known = () if tools.SEARCH in tools.names(dialogue.tools) else (capital, capital, small_talk.unanswerable)
    draw = rng.choice((chat, chat, chat, *known))
    question, answer = draw(rng)
    dialogue.user(question)
    dialogue.assistant(answer)


def work_on_ticket(rng: random.Random) -> Dialogue:
    """Return a dialogue that is one support ticket, to be analyzed or replied to."""
    made = Dialogue(tools.offer(rng) if rng.random() < TICKETS_WITH_TOOLS else [])
    question, answer = tickets.ticket(rng)
    made.user(question)
    made.assistant(answer)
    return made


def dialogue(rng: random.Random) -> Dialogue:
    """Return a random dialogue of one to six rounds that training may show."""
    if rng.random() < TICKETS:
        return work_on_ticket(rng)
    made = Dialogue(tools.offer(rng))
    for _ in range(rng.choice(ROUND_COUNTS)):
        kind = rng.random()
        if tools.SEARCH in tools.names(made.tools) and rng.random() < 0.6:
            look_up(rng, made)
        elif made.told and kind < 0.4:
            ask_fact(rng, made)
        elif kind < 0.6:
            use_tools(rng, made)
        elif kind < 0.82:
            talk(rng, made)
        elif kind < 0.85:
            repeat(rng, made)
        elif kind < 0.87:
            ask_fact(rng, made)
        else:
            tell_fact(rng, made)
            if rng.random() < 0.5:
                ask_fact(rng, made)
    return made
