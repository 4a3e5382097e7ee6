"""python -m tests.engine_double --port N"""

import argparse
import asyncio

import uvloop

from tests.engine_double import EngineDouble
from tests.engine_double.dialects import DIALECTS


async def serve(options: argparse.Namespace) -> None:
    key, *others = options.api_key or (None,)
    engine = EngineDouble(options.model, key, options.port, options.host, options.dialect)
    engine.further_keys = tuple(others)
    engine.remember = False
    await engine.start()
    print(f"engine double {options.model} at {engine.url}", flush=True)  # noqa: T201
    await asyncio.Event().wait()


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--host", default="127.0.0.1")
parser.add_argument("--port", type=int, default=8000)
parser.add_argument("--model", default="double")
parser.add_argument("--api-key", nargs="*")
parser.add_argument("--dialect", choices=DIALECTS, default="vllm")
uvloop.run(serve(parser.parse_args()))
