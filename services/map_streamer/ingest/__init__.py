"""Feeds a tailnet: facts from the change logs, from DERP maps and DNS records; opened sessions from other replicas."""

from services.map_streamer.ingest.follower import LogIngest as LogIngest
from services.map_streamer.ingest.own_names import own_names as own_names
from services.map_streamer.ingest.replicas import Replicas as Replicas
from services.map_streamer.ingest.sources import Sources as Sources
