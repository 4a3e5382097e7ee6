"""The values that questions and results are made of."""

import json
import random
import re

import pytest

from hack.demo_model import calculations, expressions, people, places, quantities, tools, weather
from hack.demo_model.split import Draw, held_out, trained, unseen

MANY = 2000
DRAWS = [places.place, people.person, expressions.expression, quantities.result, quantities.temperature]


def drawn(draw: Draw, count: int = MANY) -> list[str]:
    rng = random.Random(4)
    return [draw(rng) for _ in range(count)]


@pytest.mark.parametrize("draw", DRAWS)
def test_training_and_evaluation_never_share_a_value(draw: Draw) -> None:
    rng = random.Random(6)
    training = {trained(rng, draw) for _ in range(MANY)}
    evaluation = {unseen(rng, draw) for _ in range(100)}
    assert training.isdisjoint(evaluation)
    assert not any(map(held_out, training))
    assert all(map(held_out, evaluation))


def test_expressions_are_balanced_and_made_of_arithmetic() -> None:
    for expression in drawn(expressions.expression):
        assert expression.count("(") == expression.count(")")
        assert re.fullmatch(r"(?:sqrt|abs|round|[-+*/%().\d ])+", expression)


def test_results_are_numbers_of_every_kind() -> None:
    results = drawn(quantities.result)
    assert all(float(result) == float(result) for result in results)
    assert any(result.startswith("-") for result in results)
    assert any("." in result for result in results)
    assert any("e" in result for result in results)
    assert max(len(result) for result in results if result.isdigit()) >= 12


def test_places_are_spelled_in_many_ways() -> None:
    found = drawn(places.place)
    for mark in ("-", "'", " ", ", ", "São Paulo"):
        assert any(mark in place for place in found)
    assert len(set(found)) > 0.8 * len(found)
    assert all(place == place.strip() and "  " not in place for place in found)


def test_a_calculator_s_result_holds_the_value_as_written() -> None:
    rng = random.Random(8)
    for value in drawn(quantities.result, 300):
        returned = calculations.tool_result(rng, "1 + 1", value)
        assert value in returned
        if returned.startswith("{"):
            assert json.loads(returned)


def test_a_weather_result_holds_temperature_and_condition_as_written() -> None:
    rng = random.Random(9)
    for _ in range(500):
        report = weather.report(rng, "Tokyo")
        returned = weather.tool_result(rng, report)
        assert report.temperature in returned
        assert report.condition in returned


def test_the_weather_sentence_names_the_unit() -> None:
    assert weather.Report("Tokyo", "-3.5", "celsius", "sunny").sentence() == "The weather in Tokyo is -3.5°C and sunny."
    assert weather.Report("Tokyo", "70", "fahrenheit", "fog").sentence() == "The weather in Tokyo is 70°F and fog."
    assert weather.Report("Tokyo", "7", "", "fog").sentence() == "The weather in Tokyo is 7 degrees and fog."


def test_offers_range_from_no_tool_to_many() -> None:
    rng = random.Random(10)
    sizes = {len(tools.offer(rng)) for _ in range(MANY)}
    assert {0, 1, 2, 3, 4} <= sizes


def test_a_unit_is_taken_only_where_the_tool_declares_it() -> None:
    assert tools.takes_unit([tools.calculate(), tools.weather()])
    assert not tools.takes_unit([tools.calculate(), tools.weather(unit=False)])
    assert not tools.takes_unit([tools.tool("other", "unit")])
