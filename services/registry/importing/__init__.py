"""Imports users and nodes of another control server: `planning` decides, `writing` inserts rows and changes."""

from services.registry.importing.planning import RegistryPlan as RegistryPlan
from services.registry.importing.planning import plan as plan
from services.registry.importing.planning import with_keys as with_keys
from services.registry.importing.writing import RegistryTarget as RegistryTarget
