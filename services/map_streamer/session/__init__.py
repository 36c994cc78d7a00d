"""Map sessions and their gateways: the view that each session has, and the messages that wait to be sent."""

from services.map_streamer.session.outbox import Outbox as Outbox
from services.map_streamer.session.session import Gateway as Gateway
from services.map_streamer.session.session import Session as Session
from services.map_streamer.session.session import Stage as Stage
