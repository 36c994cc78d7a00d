"""Map sessions and their gateways: the view that each session was last sent, and each gateway's queue of messages."""

from services.map_streamer.session.outbox import GatewayOutbox as GatewayOutbox
from services.map_streamer.session.session import Gateway as Gateway
from services.map_streamer.session.session import Session as Session
from services.map_streamer.session.session import SessionStage as SessionStage
