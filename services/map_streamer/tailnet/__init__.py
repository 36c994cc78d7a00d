"""One tailnet: the task that owns its snapshot, and the delivery of changes to its map sessions."""

from services.map_streamer.tailnet.metrics import Metrics as Metrics
from services.map_streamer.tailnet.session_admission import SessionAdmission as SessionAdmission
from services.map_streamer.tailnet.ssh import find_ssh_check as find_ssh_check
from services.map_streamer.tailnet.tailnet import Tailnet as Tailnet
from services.map_streamer.tailnet.window import Window as Window
