"""Runs a policy's `tests` against a tailnet before the policy is put in force; `sshtesting` has its `sshTests`.

The first line of a failure is the hosted service's complete text; the following lines have the expectations.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from services.policy.model.checks.reaching import Reaching
from services.policy.model.checks.sshtesting import SshTests, is_unused_tag
from services.policy.model.compiler import Document
from services.policy.model.sections.names import literal
from services.policy.model.sections.ports import (
    DEFAULT_PROTOCOLS,
    WITH_PORTS,
    parse_ports,
    parse_protocol,
    split_destination,
)
from services.policy.model.sections.testsections import FAILED, AccessTest
from services.policy.model.text.problems import PolicyError, Problem
from services.shared.access.compiled import IDENTITY_KINDS, Alias, AliasKind
from services.shared.access.directory import Directory
from services.shared.access.inputs import AccessNode, AccessService, AccessUser

_TEST_PROTOCOLS = WITH_PORTS
_MAX_REPORTED = 200


class _BrokenError(ValueError):
    """A test that cannot be run; it counts as failed."""


def run_tests(
    document: Document,
    users: Iterable[AccessUser],
    nodes: Iterable[AccessNode],
    prefixes: Sequence[str] = (),
    services: Iterable[AccessService] = (),
) -> tuple[Problem, ...]:
    """Run `tests` and `sshTests`. Returns a warning for each tag in tests that no node has yet.

    Such a test cannot fail the policy: no node may have a tag before the policy that defines it is in force.

    Raises: `PolicyError` when any of them fails, with a line for each failure.
    """
    if not document.tests and not document.ssh_tests:
        return ()
    directory = Directory(document.policy, users, nodes, prefixes, services=services)
    tests, ssh_tests = AccessTests(document, directory), SshTests(document, directory)
    found = [*tests.failures(), *ssh_tests.failures()]
    if not found:
        tags = sorted({*tests.unused_tags, *ssh_tests.unused_tags})
        return tuple(Problem(f'tests that name "{tag}" wait until a node has that tag') for tag in tags)
    lines = [Problem(line) for line in found[:_MAX_REPORTED]]
    if len(found) > _MAX_REPORTED:
        lines.append(Problem(f"and {len(found) - _MAX_REPORTED} more"))
    raise PolicyError(lines, f"{FAILED}:")


class AccessTests:
    """The `tests` of one document on one tailnet."""

    def __init__(self, document: Document, directory: Directory) -> None:
        self._document = document
        self._directory = directory
        self._reaching = Reaching(document.policy, directory)
        self.unused_tags: set[str] = set()
        """Tags that tests name and no node has."""

    def failures(self) -> list[str]:
        """Return a line for each failed assertion."""
        lines: list[str] = []
        for index, test in enumerate(self._document.tests):
            lines.extend(self._run(index, test))
        return lines

    def _run(self, index: int, test: AccessTest) -> Iterator[str]:
        if not test.accept and not test.deny:
            yield f'test {index}: test entry must have at least one of "accept" or "deny"'
            return
        try:
            protocols = _wanted_protocols(test.protocol)
        except ValueError as error:
            yield f"test {index}: {error}"
            return
        try:
            source = self._source(test.source)
        except ValueError as error:
            yield f'{test.source}: failed to resolve source "{test.source}": {error}'
            return
        if is_unused_tag(source, self._directory):
            self.unused_tags.add(source.name)
            return
        sources = self._reaching.sources(source, test.attributes)
        if not sources:
            yield f'{test.source}: source "{test.source}" resolved to no IP addresses'
            return
        for wanted, destinations in ((True, test.accept), (False, test.deny)):
            for text in destinations:
                try:
                    allowed = self._allowed(test, source, protocols, text)
                except ValueError as error:
                    yield f'{test.source}: error testing "{text}": {error}'
                    continue
                if allowed is not None and allowed is not wanted:
                    expected, got = ("ALLOWED", "DENIED") if wanted else ("DENIED", "ALLOWED")
                    yield f"{test.source} -> {text} ({test.protocol or 'any'}): expected {expected}, got {got}"

    def _source(self, text: str) -> Alias:
        alias = self._document.names.alias(text)
        if alias.kind in (AliasKind.SELF, AliasKind.INTERNET, AliasKind.SERVICE, AliasKind.SHARED):
            raise _BrokenError("not valid as a test source")
        return alias

    def _allowed(self, test: AccessTest, source: Alias, protocols: tuple[int, ...], text: str) -> bool | None:
        """Return whether the source may reach a destination; None if no node has the destination's tag yet."""
        host, port_text = split_destination(text)
        if "/" in host:
            raise _BrokenError("test destination must be a single host, not a CIDR range")
        icmp = protocols in ((1,), (58,))
        port = 0 if icmp and port_text == "0" else _single_port(port_text, icmp=icmp)
        alias = self._document.names.alias(host)
        if alias.kind is AliasKind.INTERNET:
            raise _BrokenError("autogroup:internet not valid as a test destination")
        if alias.kind in (AliasKind.SHARED, AliasKind.DANGER_ALL):
            raise _BrokenError("not valid as a test destination")
        if alias.kind is AliasKind.SELF:
            return self._self_allowed(test, source, protocols, port)
        if is_unused_tag(alias, self._directory):
            self.unused_tags.add(alias.name)
            return None
        ranges = self._directory.spans_of(alias, source=False)
        single = len(ranges) == 1 and ranges[0][0] == ranges[0][1]
        if alias.kind is AliasKind.PREFIXES and literal(host) is None and not single:
            raise _BrokenError("test destination must be a single host, not a CIDR range")
        if not ranges:
            raise _BrokenError("destination resolved to no IP addresses")
        return self._reaching.reach(self._reaching.sources(source, test.attributes), alias, protocols, port)

    def _self_allowed(self, test: AccessTest, source: Alias, protocols: tuple[int, ...], port: int) -> bool:
        """Return whether each device of the source reaches the devices of the same user (`autogroup:self`)."""
        if source.kind not in IDENTITY_KINDS:
            raise _BrokenError("autogroup:self needs a source that names people")
        devices = self._reaching.own_devices(source, test.attributes)
        if not devices:
            raise _BrokenError("destination resolved to no IP addresses")
        return self._reaching.reach_own(devices, protocols, port)


def _wanted_protocols(text: str) -> tuple[int, ...]:
    if not text:
        return DEFAULT_PROTOCOLS
    number = parse_protocol(text)
    if number not in _TEST_PROTOCOLS and number not in (1, 58):
        raise _BrokenError(f'test protocol must be tcp, udp, sctp, or empty: "{text}"')
    return (number,)


def _single_port(text: str, *, icmp: bool) -> int:
    ranges = parse_ports(text)
    if len(ranges) != 1 or ranges[0][0] != ranges[0][1]:
        raise _BrokenError("test destination port must be a single port")
    if icmp:
        raise _BrokenError('test protocol must be tcp, udp, sctp, or empty: "icmp"; a test of icmp needs port 0')
    return ranges[0][0]
