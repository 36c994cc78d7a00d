"""Map sessions and the gateways that hold them: who is told, how far each is, what still has to be sent."""

from services.map_streamer.session.outbox import Outbox as Outbox
from services.map_streamer.session.session import Gateway as Gateway
from services.map_streamer.session.session import Session as Session
from services.map_streamer.session.session import Stage as Stage
