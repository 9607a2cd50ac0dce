"""The benchmarks measure the promises of the package, and compare it with its peers: `python tests/benchmarks`.

They print one Markdown table for each group of figures, with the target of each figure, and fail for no figure; only
the group `stalls` fails, if it finds a text that takes a function of this package too long. Every contender runs in a
separate process, and the peers in virtual environments, which the first run makes from PyPI. The benchmarks need a
POSIX system, and an interpreter that has the project with its extra `sandbox`; they post only to a local Discord on
loopback. A run takes about half an hour, mostly waiting for peers.
"""

from __future__ import annotations

import argparse
import platform
import sys
from pathlib import Path

import _environments
from _contenders import CONTENDERS, MASKERS, PEERS
from _groups import GROUPS, WITHOUT_CONTENDERS, Runner


def main() -> int:
    """Run the groups that the command line names."""
    parser = argparse.ArgumentParser(prog="python tests/benchmarks", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--only", nargs="+", choices=GROUPS, default=list(GROUPS), help="groups to run")
    parser.add_argument(
        "--no-peers", action="store_true", help="measure only this package and the standard library's recipe"
    )
    parser.add_argument("--repeat", type=int, default=25, help="number of short runs (default: %(default)s)")
    parser.add_argument(
        "--seconds",
        type=float,
        default=75.0,
        help="time of a lasting load, and half the time of the search for stalls (default: %(default)s)",
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the search for stalls (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="shorten all runs, to try the benchmark itself")
    parser.add_argument("--environments", type=Path, help="directory for the peers' environments, which are kept")
    arguments = parser.parse_args()
    names = [name for name in CONTENDERS if not (arguments.no_peers and name in PEERS)]
    directory = (arguments.environments or _environments.default_directory()).absolute()
    repeat = 2 if arguments.quick else arguments.repeat
    contenders = {name: CONTENDERS[name].requirement for name in names if not set(arguments.only) <= WITHOUT_CONTENDERS}
    maskers = {name: MASKERS[name] for name in MASKERS if not (arguments.no_peers and MASKERS[name])}
    pythons = _environments.prepare(contenders, directory)
    maskers_pythons = _environments.prepare(maskers if "secrets" in arguments.only else {}, directory)
    runner = Runner(pythons, repeat, arguments.quick, arguments.seconds, arguments.seed, maskers_pythons)
    sys.stdout.write(f"Python {platform.python_version()}, {platform.system()} {platform.machine()}\n\n")
    has_failed = False
    for group in arguments.only:
        table = GROUPS[group](runner)
        has_failed = has_failed or bool(table.failures)
        sys.stdout.write(table.markdown(names) + "\n")
        sys.stdout.flush()
    return int(has_failed)


if __name__ == "__main__":
    sys.exit(main())
