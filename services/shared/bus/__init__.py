"""The bus: carries changes between processes. May lose messages, and then signals the gap."""

from services.shared.bus.connect import connect_bus as connect_bus
from services.shared.bus.memory import MemoryBus as MemoryBus
from services.shared.bus.port import Bus as Bus
from services.shared.bus.port import Message as Message
from services.shared.bus.port import Reconnected as Reconnected
