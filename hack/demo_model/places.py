"""Places to ask about, and the capitals that the model knows by heart."""

import random
from typing import Final

from hack.demo_model.spellings import word

CAPITALS: Final = {
    "Australia": "Canberra",
    "Austria": "Vienna",
    "Belgium": "Brussels",
    "Brazil": "Brasilia",
    "Canada": "Ottawa",
    "China": "Beijing",
    "Denmark": "Copenhagen",
    "Egypt": "Cairo",
    "Finland": "Helsinki",
    "France": "Paris",
    "Germany": "Berlin",
    "Greece": "Athens",
    "India": "New Delhi",
    "Ireland": "Dublin",
    "Italy": "Rome",
    "Japan": "Tokyo",
    "Kenya": "Nairobi",
    "Norway": "Oslo",
    "Peru": "Lima",
    "Poland": "Warsaw",
    "Portugal": "Lisbon",
    "Spain": "Madrid",
    "Sweden": "Stockholm",
    "Switzerland": "Bern",
}

CITIES: Final = (
    "Amsterdam", "Bangkok", "Barcelona", "Bogota", "Boston", "Buenos Aires", "Cape Town", "Chicago", "Geneva",
    "Hamburg", "Hong Kong", "Istanbul", "Jakarta", "Kyoto", "Lagos", "London", "Los Angeles", "Lyon", "Melbourne",
    "Mexico City", "Milan", "Mumbai", "Munich", "New York", "Osaka", "Porto", "Prague", "Rio de Janeiro",
    "San Francisco", "Santiago", "São Paulo", "Seattle", "Seoul", "Singapore", "Sydney", "Toronto", "Zürich",
    *CAPITALS.values(),
)  # fmt: skip

PREFIXES: Final = (
    "San", "New", "Saint", "St.", "Port", "El", "La",
    "Los", "Fort", "Mount", "Rio", "Upper", "North", "Bad",
)  # fmt: skip
JOINTS: Final = (" de ", " de la ", " upon ", " of ", " on the ", " am ", " del ", " sur ")
SUFFIXES: Final = ("City", "Bay", "Falls", "Island", "Beach", "Springs", "Park", "Hills")


def place(rng: random.Random) -> str:  # noqa: PLR0911 one return for each kind of name
    """Return a place of one to four words, mostly with a spelling that nobody has seen."""
    kind = rng.random()
    if kind < 0.14:
        return rng.choice(CITIES)
    if kind < 0.58:
        return word(rng)
    if kind < 0.72:
        return f"{word(rng)} {word(rng)}"
    if kind < 0.76:
        return f"{word(rng)} {word(rng)} {word(rng)}"
    if kind < 0.83:
        return f"{rng.choice(PREFIXES)} {word(rng)}"
    if kind < 0.88:
        return f"{word(rng)} {rng.choice(SUFFIXES)}"
    if kind < 0.93:
        return f"{word(rng)}{rng.choice(JOINTS)}{word(rng)}"
    return f"{word(rng)}, {rng.choice((*CAPITALS, word(rng)))}"
