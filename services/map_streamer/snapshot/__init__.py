"""Immutable snapshots: the state at one position of both change logs, and the fold of facts into the next one. Pure."""

from services.map_streamer.snapshot.facts import DnsRecordsPut as DnsRecordsPut
from services.map_streamer.snapshot.facts import Fact as Fact
from services.map_streamer.snapshot.facts import KeyExpired as KeyExpired
from services.map_streamer.snapshot.facts import NodePut as NodePut
from services.map_streamer.snapshot.facts import NodeRemoved as NodeRemoved
from services.map_streamer.snapshot.facts import PolicyPut as PolicyPut
from services.map_streamer.snapshot.facts import RegionsPut as RegionsPut
from services.map_streamer.snapshot.facts import RelayPut as RelayPut
from services.map_streamer.snapshot.facts import RelayRemoved as RelayRemoved
from services.map_streamer.snapshot.facts import UserPut as UserPut
from services.map_streamer.snapshot.facts import UserRemoved as UserRemoved
from services.map_streamer.snapshot.fold import AccessSettings as AccessSettings
from services.map_streamer.snapshot.fold import Snapshot as Snapshot
from services.map_streamer.snapshot.fold import affected_nodes as affected_nodes
from services.map_streamer.snapshot.fold import empty as empty
from services.map_streamer.snapshot.fold import fold as fold
from services.map_streamer.snapshot.fold import replacement as replacement
from services.map_streamer.snapshot.records import Cursor as Cursor
from services.map_streamer.snapshot.records import NodeRecord as NodeRecord
from services.map_streamer.snapshot.records import RelayRecord as RelayRecord
from services.map_streamer.snapshot.records import UserRecord as UserRecord
from services.map_streamer.snapshot.view import OUTSIDE as OUTSIDE
from services.map_streamer.snapshot.view import View as View
from services.map_streamer.snapshot.view import Visibility as Visibility
from services.map_streamer.snapshot.view import ssh_json as ssh_json
