"""The difference of two states, for one node and for all nodes that a class sees. Pure."""

from services.map_streamer.diff.difference import Difference as Difference
from services.map_streamer.diff.difference import PeerDelta as PeerDelta
from services.map_streamer.diff.node import WHOLE as WHOLE
from services.map_streamer.diff.node import Change as Change
from services.map_streamer.diff.node import Patch as Patch
from services.map_streamer.diff.node import compare as compare
from services.map_streamer.diff.node import concerns_self as concerns_self
