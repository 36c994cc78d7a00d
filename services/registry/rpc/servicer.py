"""smartscale.registry.v1.RegistryService: one method per RPC, by noun in the `*_calls` modules beside this one."""

from __future__ import annotations

from smartscale.registry.v1 import registry_pb2_grpc

from services.registry.rpc.calls import UseCases as UseCases
from services.registry.rpc.list_calls import ListCalls
from services.registry.rpc.machine_calls import MachineCalls
from services.registry.rpc.node_calls import NodeCalls
from services.registry.rpc.setting_calls import SettingCalls
from services.registry.rpc.user_calls import UserCalls


class RegistryServicer(
    UserCalls, MachineCalls, NodeCalls, ListCalls, SettingCalls, registry_pb2_grpc.RegistryServiceServicer
):
    """RegistryService for one tailnet."""
