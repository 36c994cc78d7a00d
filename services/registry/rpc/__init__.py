"""The registry on gRPC: translates and decides nothing."""

from services.registry.rpc.servicer import RegistryServicer as RegistryServicer
from services.registry.rpc.servicer import UseCases as UseCases
