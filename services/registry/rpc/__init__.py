"""The registry's gRPC service: translates messages to use cases and back. Decides nothing."""

from services.registry.rpc.servicer import RegistryServicer as RegistryServicer
from services.registry.rpc.servicer import UseCases as UseCases
