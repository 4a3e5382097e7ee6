"""Questions for get_current_weather, what the tool returns, and the answers."""

import json
import random
from dataclasses import dataclass
from typing import Any, Final

from hack.demo_model import quantities, spellings
from hack.demo_model.phrases import ORDER, QUESTION, Clause
from hack.demo_model.split import trained

QUESTIONS: Final = (
    "what is the weather in {}", "what is the weather in {}", "what's the weather in {}", "what's the weather in {}",
    "what is the weather like in {}", "what's the weather like in {}", "how is the weather in {}",
    "{} weather",
    "how's the weather in {}", "is it raining in {}", "is it sunny in {}", "how warm is it in {}",
    "how cold is it in {}",
    "what is the temperature in {}", "what is the current weather in {}", "do I need an umbrella in {}",
    "what about {}",
    "can you look up the weather in {}", "what is the weather for {}", "what's the weather at {}", "weather in {}",
    "what is the weather in {} today", "how is the weather in {} today", "what's the weather in {} right now",
    "is it cold in {} now", "in {}, what is the weather like",
)  # fmt: skip
ORDERS: Final = (
    "tell me the weather in {}", "give me the current weather in {}", "weather in {}", "weather for {}", "weather {}",
    "get the weather for {}", "show me the weather in {}", "check the weather in {}", "look up the weather in {}",
    "tell me how warm it is in {}", "I want to know the weather in {}",
)  # fmt: skip

CONDITIONS: Final = (
    "sunny", "cloudy", "partly cloudy", "mostly cloudy", "overcast", "rainy", "light rain", "heavy rain", "snowy",
    "light snow", "foggy", "windy", "clear", "clear sky", "thunderstorm", "drizzle", "haze", "stormy", "humid",
    "freezing rain", "moderate rain showers", "mainly clear", "Sunny", "Clear", "Rain", "Cloudy",
)  # fmt: skip
DEGREES: Final = ("light", "slight", "moderate", "heavy", "dense", "violent", "freezing", "patchy", "mainly", "mostly")
KINDS: Final = (
    "rain", "rain showers", "snow", "snow showers", "drizzle", "fog",
    "clouds", "wind", "sleet", "hail", "sunny",
)  # fmt: skip
UNITS: Final = {"celsius": "°C", "fahrenheit": "°F"}


@dataclass(frozen=True)
class Report:
    """The weather of one place; `temperature` as written, `unit` a key of `UNITS` or empty when not said."""

    location: str
    temperature: str
    unit: str
    condition: str

    def sentence(self) -> str:
        """Return what the model says about the report."""
        unit = UNITS.get(self.unit, " degrees")
        return f"The weather in {self.location} is {self.temperature}{unit} and {self.condition}."


def clause(rng: random.Random, location: str, unit: str = "") -> Clause:
    """Return a request for the weather in `location`, in `unit` when given."""
    suffix = rng.choice((" in {}", " (in {})", ", in {}")).format(rng.choice((unit, unit.capitalize()))) if unit else ""
    if rng.random() < 0.65:
        return Clause(rng.choice(QUESTIONS) + suffix, location, QUESTION)
    return Clause(rng.choice(ORDERS) + suffix, location, ORDER)


def condition(rng: random.Random) -> str:
    """Return a known condition, or one put together of known or of invented words."""
    kind = rng.random()
    if kind < 0.4:
        return rng.choice(CONDITIONS)
    if kind < 0.75:
        return f"{rng.choice(DEGREES)} {rng.choice(KINDS)}"
    words = [spellings.letters(rng) for _ in range(rng.choice((1, 1, 2, 3)))]
    return " ".join(words)


def report(rng: random.Random, location: str, unit: str = "") -> Report:
    """Return a random report that training may show."""
    chosen = unit or rng.choice(("celsius", "celsius", "celsius", "celsius", "fahrenheit", ""))
    return Report(location, trained(rng, quantities.temperature), chosen, condition(rng))


def tool_result(rng: random.Random, report: Report) -> str:
    """Return what a weather tool may return: mostly JSON, else a sentence."""
    symbol = UNITS.get(report.unit, "")
    sentences = (
        report.sentence(),
        report.sentence()[:-1],
        f"{report.location}: {report.temperature}{symbol}, {report.condition}",
        f"{report.condition}, {report.temperature}{symbol}",
        f"It is {report.temperature}{symbol} and {report.condition} in {report.location}.",
    )
    if rng.random() < 0.25:
        return rng.choice(sentences)
    separators = rng.choice(((", ", ": "), (", ", ": "), (",", ":")))
    return json.dumps(_fields(rng, report), ensure_ascii=False, separators=separators)


def _fields(rng: random.Random, report: Report) -> dict[str, Any]:
    symbol = UNITS.get(report.unit, "")
    number: Any = json.loads(report.temperature)
    if json.dumps(number) != report.temperature or rng.random() < 0.1:
        number = report.temperature + rng.choice(("", symbol))
    fields: list[tuple[str, Any]] = []
    if rng.random() < 0.9:
        fields.append((rng.choice(("location", "location", "location", "city")), report.location))
    suffix = {"celsius": "_c", "fahrenheit": "_f"}.get(report.unit, "")
    in_key = bool(suffix) and rng.random() < 0.1
    fields.append((f"temperature{suffix}" if in_key else rng.choice(("temperature", "temperature", "temp")), number))
    if report.unit and not in_key:
        fields.append(("unit", rng.choice((report.unit, report.unit, report.unit, symbol, symbol[-1]))))
    fields.append((rng.choice(("condition", "condition", "condition", "conditions", "description")), report.condition))
    extras = (("humidity", rng.randint(0, 100)), ("wind_speed", rng.randint(0, 90)), ("source", "open-meteo"))
    fields += rng.sample(extras, rng.choice((0, 0, 0, 0, 1, 2)))
    if rng.random() < 0.3:
        rng.shuffle(fields)
    return dict(fields)


FAILED: Final = "Sorry, the get_current_weather tool failed, so I cannot tell you the weather."
UNAVAILABLE: Final = "I cannot look up the weather without the get_current_weather tool."
REASONS: Final = (
    "unknown location", "location not found", "timeout", "service unavailable", "no data", "connection refused",
    "tool timed out after 5 s", "the weather provider answered 503", "too many requests",
)  # fmt: skip
