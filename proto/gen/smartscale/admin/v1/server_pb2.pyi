from smartscale.auth.v1 import auth_pb2 as _auth_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ReloadConfigurationRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ReloadConfigurationResponse(_message.Message):
    __slots__ = ("problems", "changed", "needs_restart", "warnings")
    PROBLEMS_FIELD_NUMBER: _ClassVar[int]
    CHANGED_FIELD_NUMBER: _ClassVar[int]
    NEEDS_RESTART_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    problems: _containers.RepeatedScalarFieldContainer[str]
    changed: _containers.RepeatedScalarFieldContainer[str]
    needs_restart: _containers.RepeatedScalarFieldContainer[str]
    warnings: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, problems: _Optional[_Iterable[str]] = ..., changed: _Optional[_Iterable[str]] = ..., needs_restart: _Optional[_Iterable[str]] = ..., warnings: _Optional[_Iterable[str]] = ...) -> None: ...

class GetSignInHealthRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetSignInHealthResponse(_message.Message):
    __slots__ = ("providers", "failures")
    PROVIDERS_FIELD_NUMBER: _ClassVar[int]
    FAILURES_FIELD_NUMBER: _ClassVar[int]
    providers: _containers.RepeatedCompositeFieldContainer[_auth_pb2.ProviderHealth]
    failures: _containers.RepeatedCompositeFieldContainer[_auth_pb2.SignInFailure]
    def __init__(self, providers: _Optional[_Iterable[_Union[_auth_pb2.ProviderHealth, _Mapping]]] = ..., failures: _Optional[_Iterable[_Union[_auth_pb2.SignInFailure, _Mapping]]] = ...) -> None: ...
