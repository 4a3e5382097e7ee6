"""The commands of `python3 -m hack`."""

import argparse
import os
import signal
import sys

from hack import cache, cluster, compiled, path, progress, tools
from hack.cluster import mounts, status
from hack.failure import Failure


def main(arguments: list[str]) -> int:
    """Run one command; the exit status."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options) or 0)
    except Failure as failure:
        print(f"error: {failure}", file=sys.stderr)
    except KeyboardInterrupt:
        print("interrupted; the same command again goes on from here", file=sys.stderr)
    return 1


def _parser() -> argparse.ArgumentParser:
    root = argparse.ArgumentParser(prog="python3 -m hack", description="Tandem's local cluster, images and demo.")
    commands = root.add_subparsers(required=True, metavar="COMMAND")

    command = commands.add_parser("up", help="start a cluster, or what of it does not run")
    command.add_argument("--provider", choices=("auto", *cluster.PROVIDERS), default="auto")
    command.set_defaults(run=_up)

    command = commands.add_parser("down", help="end the cluster")
    command.set_defaults(run=_down)

    command = commands.add_parser("status", help="how the cluster is; ends with 1 where something is wrong")
    command.set_defaults(run=_show_status)

    command = commands.add_parser("kubeconfig", help="print the path of the cluster's kubeconfig")
    command.set_defaults(run=_show_kubeconfig)

    command = commands.add_parser("images", help="build images and load them into the running cluster")
    command.add_argument("names", nargs="*", metavar="NAME")
    command.set_defaults(run=_load_images)

    command = commands.add_parser("build", help="build images, for which no cluster is needed")
    command.add_argument("names", nargs="*", metavar="NAME")
    command.set_defaults(run=_build_images)

    command = commands.add_parser("demo", help="everything, up to a chat with a model in the cluster")
    command.add_argument("--model", help="a model's id on Hugging Face; default: the project's own")
    command.set_defaults(run=_run_demo)

    command = commands.add_parser("e2e", help="the end-to-end tests; arguments after -- go to pytest")
    command.add_argument("arguments", nargs="*", metavar="ARGUMENT")
    command.set_defaults(run=_run_e2e)

    command = commands.add_parser("tools", help="get programs where they are missing, print their folders for PATH")
    command.add_argument("names", nargs="+", metavar="NAME")
    command.set_defaults(run=_get_tools)

    command = commands.add_parser("path", help="print the PATH with which all of this runs: only what is declared")
    command.set_defaults(run=_show_path)

    command = commands.add_parser("compiled", help="compile the orchestrator's hot path, print the folder that has it")
    command.set_defaults(run=_show_compiled)

    command = commands.add_parser("cache", help="print the path of the cache, or of a part of it")
    command.add_argument("name", nargs="?", default="")
    command.set_defaults(run=_show_cache)

    command = commands.add_parser("clean", help="end the cluster and delete the cache")
    command.set_defaults(run=_clean)
    return root


def _up(options: argparse.Namespace) -> None:
    chosen = cluster.provider(options.provider)
    chosen.up()
    progress.say(f"the {chosen.name} cluster is up: export KUBECONFIG={chosen.kubeconfig}")


def _down(_: argparse.Namespace) -> None:
    running = cluster.running()
    if running:
        running.down()
    else:
        progress.say("no cluster is up")


def _show_status(_: argparse.Namespace) -> int:
    running = cluster.running()
    if not running:
        print("no cluster is up")
        return 1
    parts = running.status()
    print(f"provider {running.name}, kubeconfig {running.kubeconfig}\n{status.table(parts)}")
    return 0 if all(part.well for part in parts) else 1


def _show_kubeconfig(_: argparse.Namespace) -> None:
    running = cluster.running()
    if not running:
        raise Failure("no cluster is up. Start one: python3 -m hack up")
    print(running.kubeconfig)


def _build_images(options: argparse.Namespace) -> None:
    from hack import images  # noqa: PLC0415 # a command needs no more than its own

    for name in options.names or images.NAMES:
        images.build(name)


def _load_images(options: argparse.Namespace) -> None:
    from hack import images  # noqa: PLC0415

    images.load(cluster.provider(), options.names or images.NAMES)


def _run_demo(options: argparse.Namespace) -> None:
    from hack import demo  # noqa: PLC0415

    demo.run(cluster.provider(), options.model)


def _run_e2e(options: argparse.Namespace) -> None:
    from hack import e2e  # noqa: PLC0415

    e2e.run(options.arguments)


def _get_tools(options: argparse.Namespace) -> None:
    print(os.pathsep.join(map(str, tools.folders(*options.names))))


def _show_path(_: argparse.Namespace) -> None:
    print(os.environ["PATH"])


def _show_compiled(_: argparse.Namespace) -> None:
    print(compiled.folder())


def _show_cache(options: argparse.Namespace) -> None:
    print(cache.part(options.name))


def _clean(options: argparse.Namespace) -> None:
    _down(options)
    with progress.step(f"deleting {cache.root()}"):
        mounts.unmount_below([cache.root()])  # an interrupted build of an image may have left some
        cache.clear()


if __name__ == "__main__":
    path.confine()
    try:
        try:
            sys.exit(main(sys.argv[1:]))
        finally:
            print(end="", flush=True)
    except BrokenPipeError:  # as tandem_contract.output does, which is not there before .venv is
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        signal.raise_signal(signal.SIGPIPE)
