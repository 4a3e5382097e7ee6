"""get_current_weather: asks a service that speaks Open-Meteo's API."""

from collections.abc import Mapping
from typing import Any, Final

import orjson
from tandem_contract.config import Weather as WeatherSettings

from tandem_orchestrator.tools.outbound import Http, OutboundError
from tandem_orchestrator.tools.tool import ToolError

OK: Final = 200
CONDITIONS: Final[Mapping[int, str]] = {  # WMO code table 4677 as Open-Meteo uses it
    0: "clear sky",
    1: "mainly clear",
    2: "partly cloudy",
    3: "overcast",
    45: "fog",
    48: "freezing fog",
    51: "light drizzle",
    53: "drizzle",
    55: "heavy drizzle",
    56: "light freezing drizzle",
    57: "freezing drizzle",
    61: "light rain",
    63: "rain",
    65: "heavy rain",
    66: "light freezing rain",
    67: "freezing rain",
    71: "light snow",
    73: "snow",
    75: "heavy snow",
    77: "snow grains",
    80: "light rain showers",
    81: "rain showers",
    82: "heavy rain showers",
    85: "light snow showers",
    86: "snow showers",
    95: "thunderstorm",
    96: "thunderstorm with light hail",
    99: "thunderstorm with heavy hail",
}


class Weather:
    """Finds a place and tells its weather, as `{"location", "temperature", "unit", "condition"}`."""

    name = "get_current_weather"
    description = "Get the current temperature and weather condition of a city or place anywhere in the world."
    parameters: dict[str, Any] = {  # noqa: RUF012 # read only
        "type": "object",
        "properties": {
            "location": {
                "type": "string",
                "description": "The name of the city or place, for example San Francisco",
                "minLength": 1,
                "maxLength": 200,
            },
            "unit": {
                "type": "string",
                "enum": ["celsius", "fahrenheit"],
                "description": "The temperature's unit, celsius if left out",
            },
        },
        "required": ["location"],
    }

    def __init__(self, settings: WeatherSettings, http: Http) -> None:
        self._settings = settings
        self._http = http

    async def call(self, arguments: dict[str, Any]) -> str:
        """Find `location`, and ask for its weather in `unit`."""
        asked, unit = arguments["location"].strip(), arguments.get("unit", "celsius")
        place = await self._find(asked)
        answer = await self._get(
            self._settings.forecast_url,
            {
                "latitude": str(place["latitude"]),
                "longitude": str(place["longitude"]),
                "current": "temperature_2m,weather_code",
                "temperature_unit": unit,
            },
        )
        try:
            temperature, code = answer["current"]["temperature_2m"], answer["current"]["weather_code"]
        except (KeyError, TypeError):
            raise ToolError("the weather service gave no current weather") from None
        result = {
            "location": place.get("name", asked),
            "temperature": temperature,
            "unit": unit,
            "condition": CONDITIONS.get(code, "unknown"),
        }
        return orjson.dumps(result).decode()

    async def close(self) -> None:
        """Close its connections."""
        await self._http.close()

    async def _find(self, location: str) -> dict[str, Any]:
        for name in dict.fromkeys((location, location.partition(",")[0].strip())):  # "Paris, France", then "Paris"
            answer = await self._get(self._settings.geocoding_url, {"name": name, "count": "1", "language": "en"})
            results = answer.get("results")
            if isinstance(results, list) and results and {"latitude", "longitude"} <= results[0].keys():
                place: dict[str, Any] = results[0]
                return place
        raise ToolError(f"unknown location {location!r}")

    async def _get(self, url: str, query: dict[str, str]) -> dict[str, Any]:
        try:
            status, answer = await self._http.get_json(url, query)
        except OutboundError as error:
            raise ToolError(f"the weather service {error}") from None
        if status != OK:
            raise ToolError(f"the weather service answered {status}")
        if not isinstance(answer, dict):
            raise ToolError(f"the weather service answered {status} without an object")
        return answer
