"""Follows the change logs of registry and policy, and what files add: turns them into facts for the tailnet."""

from services.map_streamer.ingest.follower import Follower as Follower
from services.map_streamer.ingest.sources import Sources as Sources
