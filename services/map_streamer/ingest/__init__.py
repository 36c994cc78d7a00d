"""Brings facts to the tailnet: from the change logs of registry and policy, from files, and from other replicas."""

from services.map_streamer.ingest.follower import Follower as Follower
from services.map_streamer.ingest.own_names import own_names as own_names
from services.map_streamer.ingest.replicas import Replicas as Replicas
from services.map_streamer.ingest.sources import Sources as Sources
