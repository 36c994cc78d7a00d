"""The configuration: one frozen tree of values in Headscale's vocabulary, read from a file and the environment."""

from services.shared.config.errors import ConfigError as ConfigError
from services.shared.config.errors import ConfigProblem as ConfigProblem
from services.shared.config.load import load as load
from services.shared.config.load import load_client as load_client
from services.shared.config.model import Config as Config
from services.shared.config.model import DatabaseConfig as DatabaseConfig
from services.shared.config.model import DerpConfig as DerpConfig
from services.shared.config.model import DerpServerConfig as DerpServerConfig
from services.shared.config.model import DnsConfig as DnsConfig
from services.shared.config.model import GatewayConfig as GatewayConfig
from services.shared.config.model import OidcConfig as OidcConfig
from services.shared.config.model import ProviderConfig as ProviderConfig
from services.shared.config.model import ServiceConfig as ServiceConfig
from services.shared.config.model import ServicesConfig as ServicesConfig
