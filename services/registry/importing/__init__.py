"""Takes over users and nodes of another control server: what of each record our tables accept, and the rows for it."""

from services.registry.importing.planning import RegistryPlan as RegistryPlan
from services.registry.importing.planning import plan as plan
from services.registry.importing.planning import with_keys as with_keys
from services.registry.importing.writing import RegistryTarget as RegistryTarget
