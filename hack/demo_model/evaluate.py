"""Measure what the demo model can do, against a real engine.

    .venv/bin/python -m hack.demo_model.evaluate --base-url http://127.0.0.1:8000/v1 [--model NAME] [--misses]

Every case uses names and numbers that training never shows (see split.py), or a ticket of unseen_tickets.yaml. Prints
one line a skill and exits with 1 when calls of calculate_math or get_current_weather are right in fewer than 95 of 100
cases, with 2 when the engine does not answer.
"""

import argparse
import json
import random
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.error import URLError

import yaml

from hack.demo_model import (
    calculations,
    complaints,
    documents,
    expressions,
    facts,
    people,
    phrases,
    places,
    quantities,
    replies,
    small_talk,
    tickets,
    tools,
    weather,
)
from hack.demo_model.engine import Engine
from hack.demo_model.split import unseen
from hack.demo_model.subjects import PRIORITIES

RANDOM_STATE: Final = 7
CASES: Final = 100
PARALLEL: Final = 8
NEEDED: Final = {"calculate_math calls": 0.95, "get_current_weather calls": 0.95}
BOTH: Final = [tools.calculate(), tools.weather()]
RECORD_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "title": {"type": "string", "maxLength": 60},
        "priority": {"enum": ["low", "high"]},
        "count": {"type": "integer", "minimum": 0, "maximum": 9},
    },
    "required": ["title", "priority", "count"],
    "additionalProperties": False,
}


@dataclass(frozen=True)
class Case:
    """A dialogue and what its next message must be: these calls (name, arguments), this text, or JSON.

    JSON must have the keys that `schema` requires, and these `values` under some of them.
    """

    messages: list[dict[str, Any]]
    tools: list[dict[str, Any]]
    calls: tuple[tuple[str, dict[str, Any]], ...] = ()
    text: str = ""
    schema: dict[str, Any] | None = None
    values: dict[str, Any] = field(default_factory=dict)

    def miss(self, engine: Engine) -> str:
        """Return what came instead of the right message from the engine; empty when it was right."""
        message = engine.reply(self.messages, self.tools, self.schema)
        if self.schema:
            fits = is_record(message["content"], self.schema, self.values)
            return "" if fits else f"expected a record with {self.values}, got {message['content']!r}"
        made = tuple(
            (c["function"]["name"], json.loads(c["function"]["arguments"])) for c in message.get("tool_calls") or ()
        )
        if made != self.calls:
            return f"expected calls {self.calls}, got {made} {message['content']!r}"
        if self.text and message["content"] != self.text:
            return f"expected {self.text!r}, got {message['content']!r}"
        return ""


def is_record(text: str | None, schema: dict[str, Any], values: dict[str, Any]) -> bool:
    """Return whether this is a complete JSON object with the keys that `schema` requires, and with `values`."""
    try:
        record = json.loads(text or "")
    except json.JSONDecodeError:
        return False
    return sorted(record) == sorted(schema["required"]) and record | values == record


def user(text: str) -> dict[str, Any]:
    """Return a user's message."""
    return {"role": "user", "content": text}


def assistant(text: str) -> dict[str, Any]:
    """Return an assistant's message."""
    return {"role": "assistant", "content": text}


def called(*calls: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    """Return the assistant message that makes `calls`."""
    entries = [
        {"id": f"call-{i}", "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}
        for i, (name, arguments) in enumerate(calls)
    ]
    return {"role": "assistant", "content": None, "tool_calls": entries}


def returned(*results: str) -> list[dict[str, Any]]:
    """Return the tool messages that answer `called`, in order."""
    return [{"role": "tool", "tool_call_id": f"call-{i}", "content": result} for i, result in enumerate(results)]


def calculation(rng: random.Random) -> tuple[phrases.Clause, tuple[str, dict[str, str]]]:
    """Return an unseen calculation to ask for, and its call."""
    expression = unseen(rng, expressions.expression)
    return calculations.clause(rng, expression), (tools.CALCULATE, {"expression": expression})


def forecast(rng: random.Random) -> tuple[phrases.Clause, tuple[str, dict[str, str]]]:
    """Return an unseen place to ask for, and its call."""
    location = unseen(rng, places.place)
    return weather.clause(rng, location), (tools.WEATHER, {"location": location})


def calculate_calls(rng: random.Random) -> Case:
    """Return a calculation that must be called with the same expression."""
    clause, call = calculation(rng)
    return Case([user(phrases.say(rng, clause))], BOTH, calls=(call,))


def weather_calls(rng: random.Random) -> Case:
    """Return a place that must be called with the same spelling."""
    clause, call = forecast(rng)
    return Case([user(phrases.say(rng, clause))], BOTH, calls=(call,))


def two_calls(rng: random.Random) -> Case:
    """Return two things asked at once."""
    (first, call), (second, other) = (rng.choice((calculation, forecast))(rng) for _ in range(2))
    return Case([user(phrases.say(rng, first, second))], BOTH, calls=(call, other))


def calculations_said(rng: random.Random) -> Case:
    """Return a calculator's result that must be said as it is."""
    clause, call = calculation(rng)
    expression, value = call[1]["expression"], unseen(rng, quantities.result)
    result = calculations.tool_result(rng, expression, value)
    messages = [user(phrases.say(rng, clause)), called(call), *returned(result)]
    return Case(messages, BOTH, text=calculations.answer(expression, value))


def unseen_report(rng: random.Random, location: str) -> weather.Report:
    """Return a report with a temperature that training never shows."""
    unit = rng.choice(("celsius", "celsius", "fahrenheit", ""))
    return weather.Report(location, unseen(rng, quantities.temperature), unit, weather.condition(rng))


def weather_said(rng: random.Random) -> Case:
    """Return a weather result that must be said as it is."""
    clause, call = forecast(rng)
    report = unseen_report(rng, call[1]["location"])
    messages = [user(phrases.say(rng, clause)), called(call), *returned(weather.tool_result(rng, report))]
    return Case(messages, BOTH, text=report.sentence())


def both_said(rng: random.Random) -> Case:
    """Return two results that must be said in order."""
    (first, call), (second, other) = calculation(rng), forecast(rng)
    expression, value = call[1]["expression"], unseen(rng, quantities.result)
    report = unseen_report(rng, other[1]["location"])
    results = returned(value, weather.tool_result(rng, report))
    messages = [user(phrases.say(rng, first, second)), called(call, other), *results]
    return Case(messages, BOTH, text=f"{calculations.answer(expression, value)} {report.sentence()}")


def failures_said(rng: random.Random) -> Case:
    """Return a failed tool that must be admitted."""
    ask, failed, reasons = rng.choice((
        (calculation, calculations.FAILED, calculations.REASONS), (forecast, weather.FAILED, weather.REASONS),
    ))  # fmt: skip
    clause, call = ask(rng)
    result = tools.failure(rng, rng.choice(reasons))
    return Case([user(phrases.say(rng, clause)), called(call), *returned(result)], BOTH, text=failed)


def search_calls(rng: random.Random) -> Case:
    """Return what only documents tell, to be searched for in the question's words."""
    question = documents.statement(rng, unseen).question
    return Case([user(question)], [tools.search()], calls=((tools.SEARCH, {"queries": [question]}),))


def documents_said(rng: random.Random) -> Case:
    """Return a sentence that a search found among others, to be said as it is."""
    asked = documents.statement(rng, unseen)
    search = (tools.SEARCH, {"queries": [asked.question]})
    messages = [user(asked.question), called(search), *returned(documents.found(rng, asked.sentence))]
    return Case(messages, [tools.search()], text=asked.sentence)


def fact_repeated(rng: random.Random) -> Case:
    """Return a name or a favourite colour told first, up to three other rounds, then the question."""
    key = rng.choice(("name", "colour"))
    fact = facts.FACTS[key]
    value = unseen(rng, people.person if key == "name" else fact.draw)
    told = phrases.say(rng, phrases.Clause(rng.choice(fact.told), value, phrases.STATEMENT))
    messages = [user(told), assistant(fact.noted.format(value))]
    for _ in range(rng.randint(0, 3)):
        question, answer = rng.choice((small_talk.chat, small_talk.capital))(rng)
        messages += [user(question), assistant(answer)]
    return Case([*messages, user(rng.choice(fact.asked))], rng.choice(([], BOTH)), text=fact.repeated.format(value))


def tool_missing(rng: random.Random) -> Case:
    """Return a question for a tool that the dialogue does not offer."""
    (clause, _), plain, other = rng.choice((
        (calculation(rng), calculations.UNAVAILABLE, tools.weather()),
        (forecast(rng), weather.UNAVAILABLE, tools.calculate()),
    ))  # fmt: skip
    offered = rng.choice(([], [tools.other(rng)], [other], [tools.other(rng), other]))
    return Case([user(phrases.say(rng, clause))], offered, text=plain)


def small_talk_with_tools(rng: random.Random) -> Case:
    """Return something that no offered tool is for."""
    question, answer = rng.choice((small_talk.chat, small_talk.unanswerable))(rng)
    return Case([user(question)], BOTH, text=answer)


def long_dialogue(rng: random.Random) -> Case:
    """Return the fifth tool question of a dialogue."""
    messages: list[dict[str, Any]] = []
    for _ in range(2):
        clause, call = calculation(rng)
        value = unseen(rng, quantities.result)
        said = calculations.answer(call[1]["expression"], value)
        messages += [user(phrases.say(rng, clause)), called(call), *returned(value), assistant(said)]
        clause, call = forecast(rng)
        report = unseen_report(rng, call[1]["location"])
        result = weather.tool_result(rng, report)
        messages += [user(phrases.say(rng, clause)), called(call), *returned(result), assistant(report.sentence())]
    clause, call = rng.choice((calculation, forecast))(rng)
    return Case([*messages, user(phrases.say(rng, clause))], BOTH, calls=(call,))


def json_record(rng: random.Random) -> Case:
    """Return a question whose answer a JSON schema forces into an object."""
    question, _ = small_talk.unanswerable(rng)
    return Case([user(question)], [], schema=RECORD_SCHEMA)


def capitals() -> list[Case]:
    """Return every capital, with and without tools."""
    return [
        Case([user(f"What is the capital of {country}?")], offered, text=f"The capital of {country} is {city}.")
        for country, city in places.CAPITALS.items()
        for offered in ([], BOTH)
    ]


def chats() -> list[Case]:
    """Return every phrase of small talk."""
    return [
        Case([user(text.capitalize())], [], text=reply) for reply, texts in small_talk.REPLIES.items() for text in texts
    ]


def unseen_tickets() -> list[tuple[str, str]]:
    """Return tickets that training never shows, each with its category."""
    texts = yaml.safe_load(Path(__file__).with_name("unseen_tickets.yaml").read_text())
    return [(text, category) for category, written in texts.items() for text in written]


def tickets_analyzed() -> list[Case]:
    """Return the tickets, whose category must be found."""
    return [
        Case([user(tickets.analysis_prompt(f"customer-{number}", text))], [], schema=tickets.ANALYZE["output"],
             values={"category": category})
        for number, (text, category) in enumerate(unseen_tickets())
    ]  # fmt: skip


def replies_written() -> list[Case]:
    """Return the tickets again, which must be replied to by their analysis."""
    rng = random.Random(RANDOM_STATE)
    cases = []
    for text, category in unseen_tickets():
        priority, mood = rng.choice(PRIORITIES), rng.choice(tuple(complaints.MOODS))
        prompt = tickets.reply_prompt(text, category, priority, mood)
        values = replies.reply(category, priority, mood)
        cases.append(Case([user(prompt)], [], schema=tickets.RESPOND["output"], values=values))
    return cases


def demo_sentences() -> list[Case]:
    """Return the sentences that the project's demo relies on."""
    call = (tools.CALCULATE, {"expression": "123 * 456"})
    cases = []
    for question in ("Calculate 123 * 456", "What is 123 * 456?"):
        asked = [user(question)]
        cases.append(Case(asked, BOTH, calls=(call,)))
        cases.append(Case([*asked, called(call), *returned("56088")], BOTH, text="The result of 123 * 456 is 56088."))
    return cases


RANDOM_SKILLS: Final[dict[str, Callable[[random.Random], Case]]] = {
    "calculate_math calls": calculate_calls,
    "get_current_weather calls": weather_calls,
    "two calls in one turn": two_calls,
    "calculation results said": calculations_said,
    "weather results said": weather_said,
    "both results said": both_said,
    "tool failures said": failures_said,
    "file_search calls": search_calls,
    "found sentences said": documents_said,
    "facts repeated": fact_repeated,
    "plain answer, tool missing": tool_missing,
    "plain answer, tools offered": small_talk_with_tools,
    "fifth tool question": long_dialogue,
    "JSON schema met": json_record,
}
FIXED_SKILLS: Final[dict[str, Callable[[], list[Case]]]] = {
    "demo sentences": demo_sentences,
    "capitals": capitals,
    "small talk": chats,
    "tickets analyzed": tickets_analyzed,
    "replies written": replies_written,
}


def skills() -> dict[str, list[Case]]:
    """Return all cases by skill; each draws from its own state, so that adding one does not change the others."""
    drawn = {name: [draw(random.Random(f"{RANDOM_STATE} {name} {i}")) for i in range(CASES)]
             for name, draw in RANDOM_SKILLS.items()}  # fmt: skip
    return {name: cases() for name, cases in FIXED_SKILLS.items()} | drawn


def main() -> int:
    """Measure the engine that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base-url", required=True, help="where the OpenAI API is, e.g. http://127.0.0.1:8000/v1")
    parser.add_argument("--model", default="tandem-demo", help="the served model's name")
    parser.add_argument("--api-key", default="", help="sent as a bearer token when given")
    parser.add_argument("--misses", action="store_true", help="print what came instead of the right answer")
    arguments = parser.parse_args()
    engine = Engine(arguments.base_url, arguments.model, arguments.api_key)
    try:
        return measure(engine, show_misses=arguments.misses)
    except URLError as error:
        print(
            f"{arguments.base_url} does not answer ({error}): is the engine up, and --base-url right?", file=sys.stderr
        )
        return 2


def measure(engine: Engine, *, show_misses: bool) -> int:
    """Ask all cases and print a line for each skill; 1 when a required figure is missed, else 0."""
    enough = True
    with ThreadPoolExecutor(PARALLEL) as pool:
        for name, cases in skills().items():
            misses = [miss for miss in pool.map(lambda case: case.miss(engine), cases) if miss]
            right = len(cases) - len(misses)
            enough &= right >= NEEDED.get(name, 0) * len(cases)
            print(f"{name:<30} {right:>3} of {len(cases)}", flush=True)
            if show_misses:
                print("".join(f"    {miss}\n" for miss in misses), end="")
    return 0 if enough else 1


if __name__ == "__main__":
    sys.exit(main())
