"""Run two hosts, their Redis and a channel on this machine without containers, and cut a host off.

    sudo .venv/bin/python examples/hosts/namespaces.py

Each of the four has a network namespace with an address of its own, at one bridge. A host has also its own name,
process ids and /dev/shm, so that the package takes it for another machine. All of it ends after --seconds, and upon
Ctrl-C. Until then, type

    cut a 5     host a reaches the channel, but not Redis, for 5 seconds
    stop a 5    its processes stand still
    kill a 5    it ends as by a power cut, and starts again after 5 seconds
    end a       it ends in order
    who         who sends, and what waits

This needs Linux, root, and Debian's packages iproute2 and redis-server.
"""

from __future__ import annotations

import argparse
import contextlib
import ipaddress
import itertools
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

APP = Path(__file__).with_name("app.py")
COMMAND = (sys.executable, "-m", "discord_logging")
NAME = f"dl{os.getpid()}"
# The network 198.18.0.0/15 is for tests (RFC 2544). Each run takes 16 addresses of it.
NETWORK = ipaddress.ip_network((0xC6120000 + os.getpid() % 8192 * 16, 28))
NODES = dict(zip(("machine", "redis", "discord", "a", "b"), map(str, NETWORK.hosts()), strict=False))
REDIS = f"redis://{NODES['redis']}:6379/0"
HOSTS = ("a", "b")
PROGRAMS = ("ip", "nsenter", "redis-server", "setpriv", "unshare")
GRACE = 10.0  # seconds
ENDS_WITH_US = ("setpriv", "--pdeathsig", "KILL")


def run(*command: str) -> None:
    """Run a command."""
    subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 - they are written below


def say(text: str) -> None:
    """Print a line at once."""
    print(text, flush=True)


def isolate(name: str, switch: str) -> None:
    """Switch on or off that the bridge passes nothing between this one and others that are isolated."""
    run("ip", "-n", f"{NAME}-bridge", "link", "set", "dev", name, "type", "bridge_slave", "isolated", switch)


def make_network(stack: contextlib.ExitStack) -> None:
    """Make a bridge in a namespace, and connect the others and this machine, which has the browser."""
    for name in ("bridge", "redis", "discord", *HOSTS):
        run("ip", "netns", "add", f"{NAME}-{name}")
        stack.callback(run, "ip", "netns", "del", f"{NAME}-{name}")
    bridge = ("ip", "-n", f"{NAME}-bridge", "link")
    run(*bridge, "add", "name", "bridge", "type", "bridge")
    run(*bridge, "set", "dev", "bridge", "up")
    for name, address in NODES.items():
        place = str(os.getpid()) if name == "machine" else f"{NAME}-{name}"
        inside = ("ip",) if name == "machine" else ("ip", "-n", place)
        run(*bridge, "add", "name", name, "type", "veth", "peer", "name", NAME, "netns", place)
        run(*bridge, "set", "dev", name, "up", "master", "bridge")
        run(*inside, "address", "add", f"{address}/28", "dev", NAME)
        run(*inside, "link", "set", "dev", NAME, "up")
    stack.callback(run, "ip", "link", "del", "dev", NAME)
    isolate("redis", "on")


class Machines:
    """The four machines, each of which runs one program."""

    def __init__(self, stack: contextlib.ExitStack) -> None:
        self._stack = stack
        self._programs: dict[str, subprocess.Popen[str]] = {}
        self._environment = {**os.environ, "DISCORD_BACKLOG": REDIS, "PYTHONUNBUFFERED": "1"}

    def start(self) -> None:
        """Start all programs."""
        folder = self._stack.enter_context(tempfile.TemporaryDirectory())
        redis = ("redis-server", "--bind", NODES["redis"], "--protected-mode", "no", "--save", "", "--dir", folder)
        self._run("redis", *redis, "--appendonly", "yes", "--maxmemory-policy", "noeviction")
        # The sandbox prints the lines that a shell would read: the URL, and that it may be plain http.
        lines = self._run("discord", *COMMAND, "sandbox", "--host", NODES["discord"]).stdout
        exports = (line.removeprefix("export ").strip() for line in lines or () if line.startswith("export "))
        self._environment |= dict(export.split("=") for export in itertools.islice(exports, 2))
        for host in HOSTS:
            self.start_host(host)
        self._stack.callback(self.end, *HOSTS)

    def _run(self, name: str, *command: str) -> subprocess.Popen[str]:
        """Run a program in a namespace. It ends with this script, whatever ends that, but not upon its Ctrl-C."""
        program = subprocess.Popen(  # noqa: S603 - as above
            (*ENDS_WITH_US, "ip", "netns", "exec", f"{NAME}-{name}", *command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if name == "discord" else subprocess.DEVNULL,
            env=self._environment,
            start_new_session=True,
            text=True,
        )
        self._programs[name] = program
        self._stack.enter_context(program)
        self._stack.callback(program.kill)
        return program

    def start_host(self, host: str) -> None:
        """Start the app on a machine of its own."""
        own = ("unshare", "--mount", "--uts", "--pid", "--mount-proc", "--fork", "--kill-child")
        prepare = 'mount -t tmpfs tmpfs /dev/shm && hostname "$0" && exec "$@"'
        self._run(host, *own, "sh", "-c", prepare, host, sys.executable, str(APP))

    def signal(self, host: str, number: int, target: str) -> None:
        """Send a signal to a process of a host, by the process id that it has there."""
        space = f"/proc/{self._programs[host].pid}/ns/pid_for_children"
        with contextlib.suppress(subprocess.CalledProcessError):  # it has ended
            run("nsenter", f"--pid={space}", "sh", "-c", f"kill -{int(number)} {target}")

    def end(self, *hosts: str) -> None:
        """Let the apps deliver what they have, and end."""
        for host in hosts:
            self.signal(host, signal.SIGTERM, "1")
        for host in hosts:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._programs[host].wait(GRACE)

    def disturb(self, kind: str, host: str, seconds: float) -> None:
        """Disturb a host for some seconds."""
        say(f"{kind} {host}: begins")
        if kind == "cut":
            isolate(host, "on")
        elif kind == "stop":
            self.signal(host, signal.SIGSTOP, "-1")
        else:
            self._programs[host].kill()
        time.sleep(seconds)
        if kind == "cut":
            isolate(host, "off")
        elif kind == "stop":
            self.signal(host, signal.SIGCONT, "-1")
        else:
            self.start_host(host)
        say(f"{kind} {host}: is over")

    def obey(self, line: str) -> None:
        """Do what was typed."""
        match line.split():
            case ["who"]:
                subprocess.run((*COMMAND, "backlog", REDIS), check=False)  # noqa: S603 - as above
            case ["end", host] if host in HOSTS:
                self.end(host)
                say(f"end {host}: is over")
            case ["cut" | "stop" | "kill" as kind, host, seconds] if host in HOSTS and seconds.isdecimal():
                self.disturb(kind, host, float(seconds))
            case _:
                say("Type such as: cut a 5, stop a 5, kill a 5, end a, who")


def main() -> None:
    """Run everything until its time is over."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=600.0, help="the time after which all ends (%(default)s)")
    deadline = time.monotonic() + parser.parse_args().seconds
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    if missing := [program for program in PROGRAMS if not shutil.which(program)]:
        sys.exit(f"This machine cannot have the hosts: {', '.join(missing)} not found")
    with contextlib.ExitStack() as stack:
        try:
            make_network(stack)
        except subprocess.CalledProcessError as error:
            sys.exit(f"This machine cannot have the hosts: {error.stderr.strip()}")
        machines = Machines(stack)
        machines.start()
        say(f"The channel is at http://{NODES['discord']}:8065, Redis at {REDIS}")
        say(f"Look into a host with: ip netns exec {NAME}-a bash. Press Ctrl-C to end.")
        with contextlib.suppress(KeyboardInterrupt):
            inputs = [sys.stdin]
            while (left := deadline - time.monotonic()) > 0:
                if select.select(inputs, [], [], left)[0]:
                    line = sys.stdin.readline()
                    machines.obey(line) if line else inputs.clear()
        say("Everything ends")


if __name__ == "__main__":
    main()
