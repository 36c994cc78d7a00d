"""Differences: compares two records of a node, and two views for each class of viewers. Pure; knows no encoding."""

from services.map_streamer.diff.difference import Difference as Difference
from services.map_streamer.diff.difference import PeerDelta as PeerDelta
from services.map_streamer.diff.node import WHOLE as WHOLE
from services.map_streamer.diff.node import Change as Change
from services.map_streamer.diff.node import Patch as Patch
from services.map_streamer.diff.node import compare as compare
from services.map_streamer.diff.node import concerns_self as concerns_self
