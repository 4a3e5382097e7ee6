"""A server that speaks as much of Open-Meteo's API as the weather tool uses."""

import asyncio
from typing import Self
from urllib.parse import parse_qs, urlsplit

import orjson

from tests.engine_double.http import Exchange, HttpServer

PLACES = {
    "Tokyo": {"name": "Tokyo", "latitude": 35.6895, "longitude": 139.69171, "country": "Japan"},
    "Paris": {"name": "Paris", "latitude": 48.85341, "longitude": 2.3488, "country": "France"},
}


class OpenMeteo(HttpServer):
    """`async with OpenMeteo() as weather:`; `weather.settings` is what the configuration takes."""

    def __init__(self) -> None:
        self.celsius = 21.4
        self.code = 2
        self.delay = 0.0
        self.status = 200
        self.redirect = ""
        self.body = b""
        self.running = 0
        self.most = 0
        self.asked: list[str] = []

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        self.settings = {"geocodingUrl": f"{self.url}/v1/search", "forecastUrl": f"{self.url}/v1/forecast"}
        return self

    async def _handle(self, exchange: Exchange) -> None:
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await asyncio.sleep(self.delay)
            await self._answer(exchange)
        finally:
            self.running -= 1

    async def _answer(self, exchange: Exchange) -> None:
        target = urlsplit(exchange.target)
        query = {name: values[0] for name, values in parse_qs(target.query).items()}
        self.asked.append(exchange.target)
        if self.redirect:
            await exchange.answer(302, b"", location=self.redirect)
        elif self.status != 200:
            await exchange.answer(self.status, b'{"error":true,"reason":"scripted"}')
        elif self.body:
            await exchange.answer(200, self.body)
        elif target.path == "/v1/search":
            place = PLACES.get(query["name"])
            found = {"results": [place]} if place else {}
            await exchange.answer(200, orjson.dumps({**found, "generationtime_ms": 0.4}))
        else:
            await exchange.answer(200, orjson.dumps(self._forecast(query)))

    def _forecast(self, query: dict[str, str]) -> object:
        unit = query["temperature_unit"]
        temperature = self.celsius if unit == "celsius" else round(self.celsius * 9 / 5 + 32, 1)
        current = {
            "time": "2026-11-21T09:00",
            "interval": 900,
            "temperature_2m": temperature,
            "weather_code": self.code,
        }
        assert query["current"] == "temperature_2m,weather_code"
        return {
            "latitude": float(query["latitude"]),
            "longitude": float(query["longitude"]),
            "current_units": {"temperature_2m": "°C" if unit == "celsius" else "°F", "weather_code": "wmo code"},
            "current": current,
        }
