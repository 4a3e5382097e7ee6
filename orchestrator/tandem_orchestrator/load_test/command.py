"""tandem-orchestrator load-test: its arguments, and what it prints."""

import argparse
import asyncio
import math
import sys
from pathlib import Path
from typing import Final

import orjson

from tandem_orchestrator.load_test.client import Client, Unusable
from tandem_orchestrator.load_test.result import Figures
from tandem_orchestrator.load_test.run import Run
from tandem_orchestrator.load_test.settings import Kind, Settings, Targets, parse_mix

GOOD: Final = 0
MISSED: Final = 1
UNUSABLE: Final = 2
INTERRUPTED: Final = 130
TARGETS: Final = Targets()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.add_argument("--url", required=True, help="the service, e.g. http://chat.default.svc")
    parser.add_argument("--api-key-file", type=Path, metavar="FILE", help="file with the key to send")
    parser.add_argument("--model", help="model to ask (default: the first of the service's list)")
    loop = parser.add_mutually_exclusive_group()
    loop.add_argument("--rate", type=_positive, help="start so many requests a second, whatever becomes of them")
    loop.add_argument(
        "--concurrency", type=int, default=10, help="or: clients that wait for each answer (default %(default)s)"
    )
    parser.add_argument("--duration", type=_positive, default=60.0, help="seconds (default %(default)g)")
    parser.add_argument(
        "--mix",
        type=_mix,
        default="chat=60,stream=30,tools=10",
        help="kinds of requests and their shares (default %(default)s)",
    )
    parser.add_argument("--prompt", default=Settings.prompt, help="what chat and stream requests ask")
    parser.add_argument(
        "--max-tokens", type=int, default=Settings.max_tokens, help="of an answer (default %(default)s)"
    )
    parser.add_argument(
        "--timeout", type=_positive, default=Settings.timeout_seconds, help="seconds (default %(default)g)"
    )
    parser.add_argument(
        "--target-p95", type=_positive, default=TARGETS.p95_seconds, help="seconds (default %(default)g)"
    )
    parser.add_argument(
        "--target-tool-success",
        type=float,
        default=TARGETS.tool_success_percent,
        help="more than so many percent of the tool requests must succeed (default %(default)g)",
    )
    parser.add_argument(
        "--target-errors",
        type=float,
        default=TARGETS.errors_percent,
        help="at most so many percent of all requests may fail (default %(default)g)",
    )
    parser.add_argument("--output", choices=("text", "json"), default="text", help="what to print at the end")


def main(options: argparse.Namespace) -> int:
    """Run the test; return 0 when the targets are met, 1 when not, 2 when the service cannot be tested."""
    try:
        settings = _settings(options)
        figures = asyncio.run(_run(settings))
    except (OSError, Unusable) as error:
        print(error, file=sys.stderr)  # noqa: T201
        return UNUSABLE
    except KeyboardInterrupt:
        return INTERRUPTED
    targets = settings.targets
    if options.output == "json":
        print(orjson.dumps(figures.document(targets), option=orjson.OPT_INDENT_2).decode())  # noqa: T201
    else:
        print(figures.text(targets))  # noqa: T201
    return MISSED if figures.failures(targets) else GOOD


async def _run(settings: Settings) -> Figures:
    async with Client(settings) as client:
        model = await client.prepare()
        how = f"{settings.rate:g} requests a second" if settings.rate else f"{settings.concurrency} clients"
        _tell(f"{settings.url}, model {model}: {how} for {settings.seconds:g} s")
        return await Run(client, settings).figures(_tell)


def _settings(options: argparse.Namespace) -> Settings:
    return Settings(
        url=options.url,
        mix=options.mix,
        seconds=options.duration,
        rate=options.rate,
        concurrency=options.concurrency,
        api_key=options.api_key_file.read_text().strip() if options.api_key_file else None,
        model=options.model,
        prompt=options.prompt,
        max_tokens=options.max_tokens,
        timeout_seconds=options.timeout,
        targets=Targets(options.target_p95, options.target_tool_success, options.target_errors),
    )


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201


def _mix(text: str) -> dict[Kind, float]:
    try:
        return parse_mix(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError("must be above 0")
    return value
