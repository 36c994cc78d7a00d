"""Reads one Headscale database into `shared.imported` records. Knows the tables and columns of each release.

    devices         `machines` (0.22), `nodes`            routes    `routes`, or `nodes.approved_routes` since 0.26
    addresses       `ip_addresses` (0.22), `ipv4`/`ipv6`  tags      `forced_tags`, `tags` since 0.28
    tags of keys    `pre_auth_key_acl_tags` up to 0.23, `pre_auth_keys.tags`
    policy          `policies`, of which the row with the greatest id counts

Rows whose `deleted_at` is set are counted and left out. A damaged value is noted and replaced by its default; a row
without an id or without keys is noted and left out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping
from ipaddress import ip_address

from services.moving.fields import RowFields, UnusableRowError
from services.moving.values import GREATEST, NO_STRINGS, Key, MalformedError, flag, integer, key, moment, strings, text
from services.shared.db.contents import contents_of
from services.shared.db.recognition import DatabaseVerdict, Kind, judge
from services.shared.db.untouched import ForeignDatabase, Row, UntouchedError
from services.shared.imported import (
    Counts,
    ImportedApiKey,
    ImportedNode,
    ImportedPolicy,
    ImportedPreAuthKey,
    ImportedUser,
    Installation,
)
from services.shared.keys import DiscoKey, MachineKey, NodeKey

Progress = Callable[[str, int], None]
"""Called with the name of a table and the number of its rows read so far."""

_GRANTED_BY_POLICY = ("0.22", "0.23", "0.24", "0.26", "0.27")
"""Releases that ask the policy each time whether a node has the tags that it requests."""


async def read_installation(source: ForeignDatabase, progress: Progress) -> Installation:
    """Read the whole installation.

    Raises:
        UntouchedError: it is not Headscale's database, or cannot be read.
    """
    verdict = judge(await contents_of(source))
    if verdict.kind is not Kind.HEADSCALE:
        raise UntouchedError(f"{source.name} is not a database of Headscale: {_called(verdict)}", "name it with --from")
    if verdict.fault:
        remedy = "start the Headscale that it belongs to once more, let it finish, stop it, and import again"
        raise UntouchedError(
            f"{source.name} is the database of Headscale {verdict.release}, but {verdict.fault}", remedy
        )
    return await _DatabaseReader(source, verdict, progress).read()


def _called(verdict: DatabaseVerdict) -> str:
    if verdict.kind is Kind.OTHER:
        return f"its tables are {verdict.detail}"
    return {Kind.EMPTY: "it is empty"}.get(verdict.kind, "it is smartscale's own")


class _DatabaseReader:
    def __init__(self, source: ForeignDatabase, verdict: DatabaseVerdict, progress: Progress) -> None:
        self._source = source
        self._release = verdict.release
        self._progress = progress
        self._found = Installation(verdict.release, f"{source.kind} {source.name}", verdict.schema)
        self._problems = self._found.problems
        self._tables: Mapping[str, frozenset[str]] = {}

    async def read(self) -> Installation:
        self._tables = await self._source.tables()
        found, counts = self._found, self._found.counts
        devices = "nodes" if "nodes" in self._tables else "machines"
        await self._each("users", "user", counts["users"], self._user)
        key_tags = await self._key_tags()
        await self._each("pre_auth_keys", "preauthkey", counts["preauthkeys"], lambda row: self._preauth(row, key_tags))
        await self._each("api_keys", "apikey", counts["apikeys"], self._api_key)
        routes = await self._routes()
        ephemeral = {one.id for one in found.preauth_keys if one.ephemeral}
        await self._each(devices, "node", counts["nodes"], lambda row: self._node(row, routes, ephemeral))
        await self._policy()
        await self._count_what_has_no_place()
        last_ids = {"user": await self._source.last_id("users"), "node": await self._source.last_id(devices)}
        found.last_ids = {name: last for name, last in last_ids.items() if last <= GREATEST}
        return found

    async def _each(self, table: str, kind: str, counts: Counts, take: Callable[[RowFields], None]) -> None:
        async for row in self._rows(table):
            counts.found += 1
            which = row.get("id")
            if row.get("deleted_at") is not None:
                counts.left_out += 1
                self._problems.add(kind, which, "is marked as deleted", "left out")
                continue
            try:
                take(RowFields(row, kind, which, self._problems))
            except UnusableRowError as error:
                counts.left_out += 1
                self._problems.add(kind, which, str(error), "left out")
            if counts.found % 500 == 0:
                self._progress(table, counts.found)
        self._progress(table, counts.found)
        if lost := self._source.unreadable.get(table, 0):
            counts.found += lost
            counts.left_out += lost
            what = f"{lost} rows of {table} lie on damaged pages, or do not exist"
            self._problems.add("database", table, what, "left out; sqlite3 OLD .recover may find them")

    async def _rows(self, table: str) -> AsyncIterator[Row]:
        if table in self._tables:
            async for row in self._source.rows(table, "id"):
                yield row

    def _user(self, row: RowFields) -> None:
        self._found.users.append(
            ImportedUser(
                id=_id(row),
                name=row.read("name", text, ""),
                display_name=row.read("display_name", text, ""),
                email=row.read("email", text, ""),
                provider_identifier=row.read("provider_identifier", text, ""),
                profile_pic_url=row.read("profile_pic_url", text, ""),
                created_at=row.read("created_at", moment, None),
            )
        )

    async def _key_tags(self) -> Mapping[int, list[str]]:
        """Return the tags of keys where they have a table of their own."""
        tags: defaultdict[int, list[str]] = defaultdict(list)
        async for row in self._rows("pre_auth_key_acl_tags"):
            try:
                tags[integer(row.get("pre_auth_key_id"))].append(text(row.get("tag")))
            except MalformedError as error:
                what = f"the key of its tag {row.get('id')} {error}"
                self._problems.add("preauthkey", "?", what, "left out: see that no key admits nodes without that tag")
        return tags

    def _preauth(self, row: RowFields, key_tags: Mapping[int, list[str]]) -> None:
        number = _id(row)
        revoked = row.read("revoked", moment, None)
        expiration = row.read("expiration", moment, None)
        reusable = row.read("reusable", flag, False)
        self._found.preauth_keys.append(
            ImportedPreAuthKey(
                id=number,
                plain=row.read("key", text, ""),
                prefix=row.read("prefix", text, ""),
                hash=row.read("hash", text, ""),
                user_id=row.read("user_id", integer, 0),
                reusable=reusable,
                ephemeral=row.read("ephemeral", flag, False),
                used=row.read("used", flag, False) and not reusable,  # up to 0.24 a reusable key says so after one use
                tags=(*row.read("tags", strings, NO_STRINGS), *key_tags.get(number, ())),
                created_at=row.read("created_at", moment, None),
                expiration=min((end for end in (revoked, expiration) if end is not None), default=None),
            )
        )

    def _api_key(self, row: RowFields) -> None:
        self._found.api_keys.append(
            ImportedApiKey(
                id=_id(row),
                prefix=row.read("prefix", text, ""),
                hash=row.read("hash", text, ""),
                created_at=row.read("created_at", moment, None),
                expiration=row.read("expiration", moment, None),
                last_seen=row.read("last_seen", moment, None),
            )
        )

    async def _routes(self) -> _Routes:
        """Return the routes of each node where they have a table of their own."""
        routes = _Routes()
        async for row in self._rows("routes"):
            if row.get("deleted_at") is not None:
                continue
            fields = RowFields(row, "route", row.get("id"), self._problems)
            owner = fields.read("node_id", integer, 0) or fields.read("machine_id", integer, 0)
            prefix = fields.read("prefix", text, "")
            for name, place in (
                ("advertised", routes.announced),
                ("enabled", routes.approved),
                ("is_primary", routes.primary),
            ):
                if fields.read(name, flag, False):
                    place[owner].append(prefix)
        return routes

    def _node(self, row: RowFields, routes: _Routes, ephemeral: set[int]) -> None:
        number = _id(row)
        ipv4, ipv6 = _addresses(row)
        made_by = row.read("auth_key_id", integer, 0)
        self._found.nodes.append(
            ImportedNode(
                id=number,
                machine_key=_key(row, "machine_key", MachineKey),
                node_key=_key(row, "node_key", NodeKey),
                disco_key=row.read("disco_key", lambda value: key(DiscoKey, value), DiscoKey.zero()),
                hostname=row.read("hostname", text, ""),
                given_name=row.read("given_name", text, ""),
                user_id=row.read("user_id", integer, 0),
                ipv4=ipv4,
                ipv6=ipv6,
                forced_tags=(*row.read("forced_tags", strings, NO_STRINGS), *row.read("tags", strings, NO_STRINGS)),
                requested_by_policy=self._release.startswith(_GRANTED_BY_POLICY),
                hostinfo=row.read("host_info", text, "").encode(),
                endpoints=row.read("endpoints", strings, NO_STRINGS),
                expiry=row.read("expiry", moment, None),
                created_at=row.read("created_at", moment, None),
                last_seen=row.read("last_seen", moment, None),
                ephemeral=made_by in ephemeral,
                register_method=row.read("register_method", text, ""),
                pre_auth_key_id=made_by,
                announced_routes=tuple(routes.announced[number]),
                approved_routes=(*row.read("approved_routes", strings, NO_STRINGS), *routes.approved[number]),
                primary_routes=tuple(routes.primary[number]),
            )
        )

    async def _policy(self) -> None:
        newest, written = 0, ""
        async for row in self._rows("policies"):
            try:
                number = integer(row.get("id"))
            except MalformedError as error:
                self._problems.add("policy", "?", f"the id of a version {error}", "that version is left out")
                continue
            if row.get("deleted_at") is None and number > newest:
                newest, written = number, text(row.get("data"))
        if newest and written.strip():
            self._found.policy = ImportedPolicy(text=written, origin="database")

    async def _count_what_has_no_place(self) -> None:
        if "oauth_clients" in self._tables and (
            number := await self._source.value("SELECT count(*) FROM oauth_clients")
        ):
            what = f"{number} OAuth clients: there is no such thing here"
            self._problems.add("database", "oauth_clients", what, "left out; make API keys for what used them")


class _Routes:
    """Prefixes by id of the node."""

    def __init__(self) -> None:
        self.announced: defaultdict[int, list[str]] = defaultdict(list)
        self.approved: defaultdict[int, list[str]] = defaultdict(list)
        self.primary: defaultdict[int, list[str]] = defaultdict(list)


def _id(row: RowFields) -> int:
    number = row.need("id", integer)
    if number <= 0:
        raise UnusableRowError("it has no id")
    return number


def _key(row: RowFields, name: str, kind: type[Key]) -> Key:
    found = row.need(name, lambda value: key(kind, value))
    if found.is_zero:
        raise UnusableRowError(f"it has no {name}")
    return found


def _addresses(row: RowFields) -> tuple[str, str]:
    """Return the IPv4 and the IPv6 address; empty if there is none."""
    found = (
        *row.read("ip_addresses", _listed_addresses, NO_STRINGS),
        *row.read("ipv4", _listed_addresses, NO_STRINGS),
        *row.read("ipv6", _listed_addresses, NO_STRINGS),
    )
    by_family = {":" in address: address for address in found}
    return by_family.get(False, ""), by_family.get(True, "")


def _listed_addresses(value: object) -> tuple[str, ...]:
    try:
        return tuple(str(ip_address(part.strip())) for part in text(value).split(",") if part.strip())
    except ValueError:
        raise MalformedError("is no address") from None
