"""The hosts of a proof: network namespaces joined by a bridge, or addresses 127.0.0.x of this machine.

TrialFault
  NoHosts        hosts cannot be made here: one sentence, what to do
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from router.prove.cluster import launch
from router.trial.process import TrialFault

_PREFIX = "passerelle-"
_STALE = re.compile(rf"^{_PREFIX}(\d+)-[a-z0-9]+$")
_NETEM = ("netem", "delay", "80ms", "20ms", "loss", "1%")
_BUCKET = ("tbf", "rate", "2mbit", "burst", "4kb", "latency", "400ms")


class NoHosts(TrialFault):
    """Hosts cannot be made on this machine."""


@dataclass(frozen=True, slots=True)
class Host:
    """One machine of the cluster: its name, its address, and the namespace it lives in (empty without)."""

    name: str
    address: str
    namespace: str = ""


class Network(Protocol):
    """What joins the hosts. `outside` is where senders, receiving tool and balancer are."""

    outside: Host
    cuts: bool
    """Whether links can be cut."""

    def host(self, name: str) -> Host:
        """Make a host, or give the one of that name."""

    def port(self, host: Host, wanted: int) -> int:
        """Give the port that a service of the host listens on: the wanted one, or a free one where ports are shared."""

    def cut(self, host: Host) -> None:
        """Take the host's link down; nothing says so to either side."""

    def mend(self, host: Host) -> None:
        """Bring the link back."""

    def slow(self, host: Host) -> str:
        """Make the link slow, and say how; empty when this network cannot."""

    def quicken(self, host: Host) -> None:
        """Undo `slow`."""


@dataclass(slots=True)
class Loopback:
    """All hosts on this machine, at 127.0.0.x, which needs no right: links cannot be cut or slowed."""

    outside: Host = field(default_factory=lambda: Host("outside", "127.0.0.1"))
    cuts: bool = False
    _hosts: dict[str, Host] = field(default_factory=dict)
    _ports: dict[tuple[str, int], int] = field(default_factory=dict)

    def host(self, name: str) -> Host:
        """Give the next address; where 127.0.0.1 is the only one, hosts differ by their ports."""
        address = f"127.0.0.{len(self._hosts) + 11}" if sys.platform == "linux" else "127.0.0.1"
        return self._hosts.setdefault(name, Host(name, address))

    def port(self, host: Host, wanted: int) -> int:
        """Take a free port once, and give it again later."""
        if (host.name, wanted) not in self._ports:
            with socket.socket() as probe:
                probe.bind((host.address, 0))
                self._ports[host.name, wanted] = int(probe.getsockname()[1])
        return self._ports[host.name, wanted]

    def cut(self, host: Host) -> None:
        """Refuse: the schedule leaves such faults out."""
        raise NoHosts(f"the link of {host.name} cannot be cut without network namespaces")

    def mend(self, host: Host) -> None:
        """Nothing was cut."""

    def slow(self, host: Host) -> str:
        """Say that it cannot."""
        return ""

    def quicken(self, host: Host) -> None:
        """Nothing was slowed."""


class Namespaces:
    """Each host a network namespace with one interface, joined by a bridge in the namespace `outside`.

    The calling thread lives in `outside` while it lasts: what it listens on and connects to is in the hosts' network
    10.77.0.0/24, and the machine's own network has no part in it.
    """

    cuts = True

    def __init__(self) -> None:
        self._run = f"{_PREFIX}{os.getpid()}-"
        self._hosts: dict[str, Host] = {}
        self.outside = Host("outside", "10.77.0.1", f"{self._run}outside")

    def build(self) -> None:
        """Make the bridge."""
        out = self.outside.namespace
        _ip("netns", "add", out)
        _ip("-n", out, "link", "set", "lo", "up")
        _ip("-n", out, "link", "add", "bridge", "type", "bridge")
        _ip("-n", out, "addr", "add", f"{self.outside.address}/24", "dev", "bridge")
        _ip("-n", out, "link", "set", "bridge", "up")

    def host(self, name: str) -> Host:
        """Make a namespace of its own, with its link to the bridge."""
        if name in self._hosts:
            return self._hosts[name]
        host = Host(name, f"10.77.0.{len(self._hosts) + 11}", self._run + name)
        out, own = self.outside.namespace, host.namespace
        _ip("netns", "add", own)
        _ip("-n", own, "link", "set", "lo", "up")
        _ip("link", "add", _port_of(host), "netns", out, "type", "veth", "peer", "name", "eth0", "netns", own)
        _ip("-n", own, "addr", "add", f"{host.address}/24", "dev", "eth0")
        _ip("-n", own, "link", "set", "eth0", "up")
        _ip("-n", out, "link", "set", _port_of(host), "master", "bridge", "up")
        self._hosts[name] = host
        return host

    def port(self, host: Host, wanted: int) -> int:
        """Give the wanted port: every host has all of its own."""
        return wanted

    def cut(self, host: Host) -> None:
        """Take the bridge's end of the link down, as a cable that is pulled."""
        _ip("-n", self.outside.namespace, "link", "set", _port_of(host), "down")

    def mend(self, host: Host) -> None:
        """Bring it back."""
        _ip("-n", self.outside.namespace, "link", "set", _port_of(host), "up")

    def slow(self, host: Host) -> str:
        """Delay and lose packets by netem, or hold both directions to a low rate where the kernel has no netem."""
        ends = ((host.namespace, "eth0"), (self.outside.namespace, _port_of(host)))
        for how, said in ((_NETEM, "netem"), (_BUCKET, "no netem in this kernel, so tbf")):
            try:
                for namespace, device in ends:
                    _tc("-n", namespace, "qdisc", "add", "dev", device, "root", *how)
            except NoHosts:
                continue
            return f"both directions, {said}: {' '.join(how[1:])}"
        return ""

    def quicken(self, host: Host) -> None:
        """Take the queueing away at both ends."""
        for namespace, device in ((host.namespace, "eth0"), (self.outside.namespace, _port_of(host))):
            with contextlib.suppress(NoHosts):
                _tc("-n", namespace, "qdisc", "del", "dev", device, "root")

    def remove(self) -> None:
        """Take everything away."""
        for name in names():
            if name.startswith(self._run):
                with contextlib.suppress(NoHosts):
                    _ip("netns", "delete", name)


@contextlib.contextmanager
def namespaces() -> Iterator[Namespaces]:
    """Make a network of namespaces, live in its `outside`, and remove it at the end; raises NoHosts.

    What a harness that was killed left behind is removed first.
    """
    _able()
    remove_stale()
    network = Namespaces()
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        network.build()
        launch.enter(launch.NAMESPACES / network.outside.namespace)
        yield network
    finally:
        launch.enter(f"/proc/self/fd/{before}")
        os.close(before)
        network.remove()


def names() -> list[str]:
    """List the namespaces that proofs made, of this one and of others."""
    found = (path.name for path in launch.NAMESPACES.iterdir()) if launch.NAMESPACES.is_dir() else ()
    return sorted(name for name in found if _STALE.match(name))


def remove_stale() -> list[str]:
    """Remove the namespaces of harnesses that live no more; give their names."""
    gone = []
    for name in names():
        owner = _STALE.match(name)
        if owner is not None and not Path("/proc", owner[1]).exists():
            _ip("netns", "delete", name)
            gone.append(name)
    return gone


def _able() -> None:
    if sys.platform != "linux":
        raise NoHosts("the hosts of this proof are Linux network namespaces: use --no-namespaces on this system")
    if os.geteuid() != 0:
        raise NoHosts(
            "the hosts of this proof are network namespaces, which only root may make: "
            "run it as root, or with --no-namespaces"
        )
    if shutil.which("ip") is None:
        raise NoHosts("the command `ip` is missing: install iproute2, or run with --no-namespaces")


def _port_of(host: Host) -> str:
    return f"to-{host.name}"


def _ip(*arguments: str) -> None:
    _run("ip", arguments)


def _tc(*arguments: str) -> None:
    _run("tc", arguments)


def _run(tool: str, arguments: tuple[str, ...]) -> None:
    path = shutil.which(tool)
    if path is None:
        raise NoHosts(f"the command `{tool}` is missing: install iproute2, or run with --no-namespaces")
    done = subprocess.run([path, *arguments], capture_output=True, text=True, check=False)  # noqa: S603 - our own words
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["no reason given"]
        raise NoHosts(f"`{tool} {' '.join(arguments)}` failed ({said[0]}); use --no-namespaces if it is not allowed")
