import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from smartscale.types.v1 import node_pb2 as _node_pb2
from smartscale.types.v1 import user_pb2 as _user_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SignInState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SIGN_IN_STATE_UNSPECIFIED: _ClassVar[SignInState]
    SIGN_IN_STATE_STARTED: _ClassVar[SignInState]
    SIGN_IN_STATE_CHECKING: _ClassVar[SignInState]
    SIGN_IN_STATE_CONFIRMING: _ClassVar[SignInState]
    SIGN_IN_STATE_DONE: _ClassVar[SignInState]
    SIGN_IN_STATE_REFUSED: _ClassVar[SignInState]
SIGN_IN_STATE_UNSPECIFIED: SignInState
SIGN_IN_STATE_STARTED: SignInState
SIGN_IN_STATE_CHECKING: SignInState
SIGN_IN_STATE_CONFIRMING: SignInState
SIGN_IN_STATE_DONE: SignInState
SIGN_IN_STATE_REFUSED: SignInState

class RegisterRequest(_message.Message):
    __slots__ = ("version", "node_key", "old_node_key", "auth_key", "expiry", "hostinfo", "ephemeral", "remote_address")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    NODE_KEY_FIELD_NUMBER: _ClassVar[int]
    OLD_NODE_KEY_FIELD_NUMBER: _ClassVar[int]
    AUTH_KEY_FIELD_NUMBER: _ClassVar[int]
    EXPIRY_FIELD_NUMBER: _ClassVar[int]
    HOSTINFO_FIELD_NUMBER: _ClassVar[int]
    EPHEMERAL_FIELD_NUMBER: _ClassVar[int]
    REMOTE_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    version: int
    node_key: bytes
    old_node_key: bytes
    auth_key: str
    expiry: _timestamp_pb2.Timestamp
    hostinfo: bytes
    ephemeral: bool
    remote_address: str
    def __init__(self, version: _Optional[int] = ..., node_key: _Optional[bytes] = ..., old_node_key: _Optional[bytes] = ..., auth_key: _Optional[str] = ..., expiry: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., hostinfo: _Optional[bytes] = ..., ephemeral: _Optional[bool] = ..., remote_address: _Optional[str] = ...) -> None: ...

class Admitted(_message.Message):
    __slots__ = ("node", "user")
    NODE_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    node: _node_pb2.Node
    user: _user_pb2.User
    def __init__(self, node: _Optional[_Union[_node_pb2.Node, _Mapping]] = ..., user: _Optional[_Union[_user_pb2.User, _Mapping]] = ...) -> None: ...

class LoginNeeded(_message.Message):
    __slots__ = ("auth_id", "auth_url")
    AUTH_ID_FIELD_NUMBER: _ClassVar[int]
    AUTH_URL_FIELD_NUMBER: _ClassVar[int]
    auth_id: str
    auth_url: str
    def __init__(self, auth_id: _Optional[str] = ..., auth_url: _Optional[str] = ...) -> None: ...

class RegisterResponse(_message.Message):
    __slots__ = ("admitted", "login_needed", "node_key_expired", "refused", "logged_out", "retry_after")
    ADMITTED_FIELD_NUMBER: _ClassVar[int]
    LOGIN_NEEDED_FIELD_NUMBER: _ClassVar[int]
    NODE_KEY_EXPIRED_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    LOGGED_OUT_FIELD_NUMBER: _ClassVar[int]
    RETRY_AFTER_FIELD_NUMBER: _ClassVar[int]
    admitted: Admitted
    login_needed: LoginNeeded
    node_key_expired: bool
    refused: str
    logged_out: bool
    retry_after: int
    def __init__(self, admitted: _Optional[_Union[Admitted, _Mapping]] = ..., login_needed: _Optional[_Union[LoginNeeded, _Mapping]] = ..., node_key_expired: _Optional[bool] = ..., refused: _Optional[str] = ..., logged_out: _Optional[bool] = ..., retry_after: _Optional[int] = ...) -> None: ...

class AwaitLoginRequest(_message.Message):
    __slots__ = ("registration", "followup")
    REGISTRATION_FIELD_NUMBER: _ClassVar[int]
    FOLLOWUP_FIELD_NUMBER: _ClassVar[int]
    registration: RegisterRequest
    followup: str
    def __init__(self, registration: _Optional[_Union[RegisterRequest, _Mapping]] = ..., followup: _Optional[str] = ...) -> None: ...

class AwaitLoginResponse(_message.Message):
    __slots__ = ("response",)
    RESPONSE_FIELD_NUMBER: _ClassVar[int]
    response: RegisterResponse
    def __init__(self, response: _Optional[_Union[RegisterResponse, _Mapping]] = ...) -> None: ...

class PendingLogin(_message.Message):
    __slots__ = ("auth_id", "machine_key", "node_key", "hostname", "os", "remote_address", "created_at", "expires_at", "decided", "approved")
    AUTH_ID_FIELD_NUMBER: _ClassVar[int]
    MACHINE_KEY_FIELD_NUMBER: _ClassVar[int]
    NODE_KEY_FIELD_NUMBER: _ClassVar[int]
    HOSTNAME_FIELD_NUMBER: _ClassVar[int]
    OS_FIELD_NUMBER: _ClassVar[int]
    REMOTE_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    DECIDED_FIELD_NUMBER: _ClassVar[int]
    APPROVED_FIELD_NUMBER: _ClassVar[int]
    auth_id: str
    machine_key: bytes
    node_key: bytes
    hostname: str
    os: str
    remote_address: str
    created_at: _timestamp_pb2.Timestamp
    expires_at: _timestamp_pb2.Timestamp
    decided: bool
    approved: bool
    def __init__(self, auth_id: _Optional[str] = ..., machine_key: _Optional[bytes] = ..., node_key: _Optional[bytes] = ..., hostname: _Optional[str] = ..., os: _Optional[str] = ..., remote_address: _Optional[str] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., decided: _Optional[bool] = ..., approved: _Optional[bool] = ...) -> None: ...

class OpenLoginRequest(_message.Message):
    __slots__ = ("auth_id", "hostinfo")
    AUTH_ID_FIELD_NUMBER: _ClassVar[int]
    HOSTINFO_FIELD_NUMBER: _ClassVar[int]
    auth_id: str
    hostinfo: bytes
    def __init__(self, auth_id: _Optional[str] = ..., hostinfo: _Optional[bytes] = ...) -> None: ...

class OpenLoginResponse(_message.Message):
    __slots__ = ("login",)
    LOGIN_FIELD_NUMBER: _ClassVar[int]
    login: PendingLogin
    def __init__(self, login: _Optional[_Union[PendingLogin, _Mapping]] = ...) -> None: ...

class GetPendingLoginRequest(_message.Message):
    __slots__ = ("auth_id",)
    AUTH_ID_FIELD_NUMBER: _ClassVar[int]
    auth_id: str
    def __init__(self, auth_id: _Optional[str] = ...) -> None: ...

class GetPendingLoginResponse(_message.Message):
    __slots__ = ("login",)
    LOGIN_FIELD_NUMBER: _ClassVar[int]
    login: PendingLogin
    def __init__(self, login: _Optional[_Union[PendingLogin, _Mapping]] = ...) -> None: ...

class ListPendingLoginsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListPendingLoginsResponse(_message.Message):
    __slots__ = ("logins",)
    LOGINS_FIELD_NUMBER: _ClassVar[int]
    logins: _containers.RepeatedCompositeFieldContainer[PendingLogin]
    def __init__(self, logins: _Optional[_Iterable[_Union[PendingLogin, _Mapping]]] = ...) -> None: ...

class ApproveLoginRequest(_message.Message):
    __slots__ = ("auth_id", "user_id")
    AUTH_ID_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    auth_id: str
    user_id: int
    def __init__(self, auth_id: _Optional[str] = ..., user_id: _Optional[int] = ...) -> None: ...

class ApproveLoginResponse(_message.Message):
    __slots__ = ("node", "user")
    NODE_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    node: _node_pb2.Node
    user: _user_pb2.User
    def __init__(self, node: _Optional[_Union[_node_pb2.Node, _Mapping]] = ..., user: _Optional[_Union[_user_pb2.User, _Mapping]] = ...) -> None: ...

class RejectLoginRequest(_message.Message):
    __slots__ = ("auth_id",)
    AUTH_ID_FIELD_NUMBER: _ClassVar[int]
    auth_id: str
    def __init__(self, auth_id: _Optional[str] = ...) -> None: ...

class RejectLoginResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class SshQuestion(_message.Message):
    __slots__ = ("source_id", "destination_id", "local_user", "period_seconds", "everywhere")
    SOURCE_ID_FIELD_NUMBER: _ClassVar[int]
    DESTINATION_ID_FIELD_NUMBER: _ClassVar[int]
    LOCAL_USER_FIELD_NUMBER: _ClassVar[int]
    PERIOD_SECONDS_FIELD_NUMBER: _ClassVar[int]
    EVERYWHERE_FIELD_NUMBER: _ClassVar[int]
    source_id: int
    destination_id: int
    local_user: str
    period_seconds: int
    everywhere: bool
    def __init__(self, source_id: _Optional[int] = ..., destination_id: _Optional[int] = ..., local_user: _Optional[str] = ..., period_seconds: _Optional[int] = ..., everywhere: _Optional[bool] = ...) -> None: ...

class SshWaiting(_message.Message):
    __slots__ = ("auth_id", "url")
    AUTH_ID_FIELD_NUMBER: _ClassVar[int]
    URL_FIELD_NUMBER: _ClassVar[int]
    auth_id: str
    url: str
    def __init__(self, auth_id: _Optional[str] = ..., url: _Optional[str] = ...) -> None: ...

class SshVerdict(_message.Message):
    __slots__ = ("accepted", "waiting", "refused")
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    WAITING_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    accepted: bool
    waiting: SshWaiting
    refused: str
    def __init__(self, accepted: _Optional[bool] = ..., waiting: _Optional[_Union[SshWaiting, _Mapping]] = ..., refused: _Optional[str] = ...) -> None: ...

class CheckSshRequest(_message.Message):
    __slots__ = ("question",)
    QUESTION_FIELD_NUMBER: _ClassVar[int]
    question: SshQuestion
    def __init__(self, question: _Optional[_Union[SshQuestion, _Mapping]] = ...) -> None: ...

class CheckSshResponse(_message.Message):
    __slots__ = ("verdict",)
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    verdict: SshVerdict
    def __init__(self, verdict: _Optional[_Union[SshVerdict, _Mapping]] = ...) -> None: ...

class AwaitSshCheckRequest(_message.Message):
    __slots__ = ("question", "auth_id")
    QUESTION_FIELD_NUMBER: _ClassVar[int]
    AUTH_ID_FIELD_NUMBER: _ClassVar[int]
    question: SshQuestion
    auth_id: str
    def __init__(self, question: _Optional[_Union[SshQuestion, _Mapping]] = ..., auth_id: _Optional[str] = ...) -> None: ...

class AwaitSshCheckResponse(_message.Message):
    __slots__ = ("verdict",)
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    verdict: SshVerdict
    def __init__(self, verdict: _Optional[_Union[SshVerdict, _Mapping]] = ...) -> None: ...

class SshCheck(_message.Message):
    __slots__ = ("auth_id", "source_id", "source_name", "user_name", "user_id", "destination_id", "destination_name", "local_user", "created_at", "expires_at", "decided", "approved")
    AUTH_ID_FIELD_NUMBER: _ClassVar[int]
    SOURCE_ID_FIELD_NUMBER: _ClassVar[int]
    SOURCE_NAME_FIELD_NUMBER: _ClassVar[int]
    USER_NAME_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    DESTINATION_ID_FIELD_NUMBER: _ClassVar[int]
    DESTINATION_NAME_FIELD_NUMBER: _ClassVar[int]
    LOCAL_USER_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    DECIDED_FIELD_NUMBER: _ClassVar[int]
    APPROVED_FIELD_NUMBER: _ClassVar[int]
    auth_id: str
    source_id: int
    source_name: str
    user_name: str
    user_id: int
    destination_id: int
    destination_name: str
    local_user: str
    created_at: _timestamp_pb2.Timestamp
    expires_at: _timestamp_pb2.Timestamp
    decided: bool
    approved: bool
    def __init__(self, auth_id: _Optional[str] = ..., source_id: _Optional[int] = ..., source_name: _Optional[str] = ..., user_name: _Optional[str] = ..., user_id: _Optional[int] = ..., destination_id: _Optional[int] = ..., destination_name: _Optional[str] = ..., local_user: _Optional[str] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., decided: _Optional[bool] = ..., approved: _Optional[bool] = ...) -> None: ...

class GetSshCheckRequest(_message.Message):
    __slots__ = ("auth_id",)
    AUTH_ID_FIELD_NUMBER: _ClassVar[int]
    auth_id: str
    def __init__(self, auth_id: _Optional[str] = ...) -> None: ...

class GetSshCheckResponse(_message.Message):
    __slots__ = ("check",)
    CHECK_FIELD_NUMBER: _ClassVar[int]
    check: SshCheck
    def __init__(self, check: _Optional[_Union[SshCheck, _Mapping]] = ...) -> None: ...

class ListSshChecksRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListSshChecksResponse(_message.Message):
    __slots__ = ("checks",)
    CHECKS_FIELD_NUMBER: _ClassVar[int]
    checks: _containers.RepeatedCompositeFieldContainer[SshCheck]
    def __init__(self, checks: _Optional[_Iterable[_Union[SshCheck, _Mapping]]] = ...) -> None: ...

class DecideSshCheckRequest(_message.Message):
    __slots__ = ("auth_id", "approve", "actor")
    AUTH_ID_FIELD_NUMBER: _ClassVar[int]
    APPROVE_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    auth_id: str
    approve: bool
    actor: str
    def __init__(self, auth_id: _Optional[str] = ..., approve: _Optional[bool] = ..., actor: _Optional[str] = ...) -> None: ...

class DecideSshCheckResponse(_message.Message):
    __slots__ = ("check",)
    CHECK_FIELD_NUMBER: _ClassVar[int]
    check: SshCheck
    def __init__(self, check: _Optional[_Union[SshCheck, _Mapping]] = ...) -> None: ...

class SignIn(_message.Message):
    __slots__ = ("flow_id", "state", "login", "user", "reason", "text", "final", "confirmation", "ssh_check", "for_ssh")
    FLOW_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    LOGIN_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    FINAL_FIELD_NUMBER: _ClassVar[int]
    CONFIRMATION_FIELD_NUMBER: _ClassVar[int]
    SSH_CHECK_FIELD_NUMBER: _ClassVar[int]
    FOR_SSH_FIELD_NUMBER: _ClassVar[int]
    flow_id: str
    state: SignInState
    login: PendingLogin
    user: str
    reason: str
    text: str
    final: bool
    confirmation: str
    ssh_check: SshCheck
    for_ssh: bool
    def __init__(self, flow_id: _Optional[str] = ..., state: _Optional[_Union[SignInState, str]] = ..., login: _Optional[_Union[PendingLogin, _Mapping]] = ..., user: _Optional[str] = ..., reason: _Optional[str] = ..., text: _Optional[str] = ..., final: _Optional[bool] = ..., confirmation: _Optional[str] = ..., ssh_check: _Optional[_Union[SshCheck, _Mapping]] = ..., for_ssh: _Optional[bool] = ...) -> None: ...

class StartSignInRequest(_message.Message):
    __slots__ = ("auth_id", "remote_address", "provider")
    AUTH_ID_FIELD_NUMBER: _ClassVar[int]
    REMOTE_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    auth_id: str
    remote_address: str
    provider: str
    def __init__(self, auth_id: _Optional[str] = ..., remote_address: _Optional[str] = ..., provider: _Optional[str] = ...) -> None: ...

class StartSignInResponse(_message.Message):
    __slots__ = ("authorization_url", "flow_id", "browser_secret", "expires_at")
    AUTHORIZATION_URL_FIELD_NUMBER: _ClassVar[int]
    FLOW_ID_FIELD_NUMBER: _ClassVar[int]
    BROWSER_SECRET_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    authorization_url: str
    flow_id: str
    browser_secret: str
    expires_at: _timestamp_pb2.Timestamp
    def __init__(self, authorization_url: _Optional[str] = ..., flow_id: _Optional[str] = ..., browser_secret: _Optional[str] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class FinishSignInRequest(_message.Message):
    __slots__ = ("state", "code", "iss", "error", "error_description", "browser_secret", "provider")
    STATE_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    ISS_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    ERROR_DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    BROWSER_SECRET_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    state: str
    code: str
    iss: str
    error: str
    error_description: str
    browser_secret: str
    provider: str
    def __init__(self, state: _Optional[str] = ..., code: _Optional[str] = ..., iss: _Optional[str] = ..., error: _Optional[str] = ..., error_description: _Optional[str] = ..., browser_secret: _Optional[str] = ..., provider: _Optional[str] = ...) -> None: ...

class FinishSignInResponse(_message.Message):
    __slots__ = ("sign_in", "authorization_url")
    SIGN_IN_FIELD_NUMBER: _ClassVar[int]
    AUTHORIZATION_URL_FIELD_NUMBER: _ClassVar[int]
    sign_in: SignIn
    authorization_url: str
    def __init__(self, sign_in: _Optional[_Union[SignIn, _Mapping]] = ..., authorization_url: _Optional[str] = ...) -> None: ...

class GetSignInRequest(_message.Message):
    __slots__ = ("flow_id", "browser_secret")
    FLOW_ID_FIELD_NUMBER: _ClassVar[int]
    BROWSER_SECRET_FIELD_NUMBER: _ClassVar[int]
    flow_id: str
    browser_secret: str
    def __init__(self, flow_id: _Optional[str] = ..., browser_secret: _Optional[str] = ...) -> None: ...

class GetSignInResponse(_message.Message):
    __slots__ = ("sign_in",)
    SIGN_IN_FIELD_NUMBER: _ClassVar[int]
    sign_in: SignIn
    def __init__(self, sign_in: _Optional[_Union[SignIn, _Mapping]] = ...) -> None: ...

class ConfirmSignInRequest(_message.Message):
    __slots__ = ("flow_id", "browser_secret", "confirmation", "approve")
    FLOW_ID_FIELD_NUMBER: _ClassVar[int]
    BROWSER_SECRET_FIELD_NUMBER: _ClassVar[int]
    CONFIRMATION_FIELD_NUMBER: _ClassVar[int]
    APPROVE_FIELD_NUMBER: _ClassVar[int]
    flow_id: str
    browser_secret: str
    confirmation: str
    approve: bool
    def __init__(self, flow_id: _Optional[str] = ..., browser_secret: _Optional[str] = ..., confirmation: _Optional[str] = ..., approve: _Optional[bool] = ...) -> None: ...

class ConfirmSignInResponse(_message.Message):
    __slots__ = ("sign_in",)
    SIGN_IN_FIELD_NUMBER: _ClassVar[int]
    sign_in: SignIn
    def __init__(self, sign_in: _Optional[_Union[SignIn, _Mapping]] = ...) -> None: ...

class SuspendUserRequest(_message.Message):
    __slots__ = ("user_id", "actor", "reason")
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    user_id: int
    actor: str
    reason: str
    def __init__(self, user_id: _Optional[int] = ..., actor: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class SuspendUserResponse(_message.Message):
    __slots__ = ("user",)
    USER_FIELD_NUMBER: _ClassVar[int]
    user: _user_pb2.User
    def __init__(self, user: _Optional[_Union[_user_pb2.User, _Mapping]] = ...) -> None: ...

class RestoreUserRequest(_message.Message):
    __slots__ = ("user_id", "actor", "reason")
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    user_id: int
    actor: str
    reason: str
    def __init__(self, user_id: _Optional[int] = ..., actor: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class RestoreUserResponse(_message.Message):
    __slots__ = ("user",)
    USER_FIELD_NUMBER: _ClassVar[int]
    user: _user_pb2.User
    def __init__(self, user: _Optional[_Union[_user_pb2.User, _Mapping]] = ...) -> None: ...

class Verdict(_message.Message):
    __slots__ = ("issuer", "subject", "provider", "may_enter", "reason", "text")
    ISSUER_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    MAY_ENTER_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    issuer: str
    subject: str
    provider: str
    may_enter: bool
    reason: str
    text: str
    def __init__(self, issuer: _Optional[str] = ..., subject: _Optional[str] = ..., provider: _Optional[str] = ..., may_enter: _Optional[bool] = ..., reason: _Optional[str] = ..., text: _Optional[str] = ...) -> None: ...

class NodeLogin(_message.Message):
    __slots__ = ("node_id", "issuer", "subject", "started_at", "checked_at", "ends_at")
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    ISSUER_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    CHECKED_AT_FIELD_NUMBER: _ClassVar[int]
    ENDS_AT_FIELD_NUMBER: _ClassVar[int]
    node_id: int
    issuer: str
    subject: str
    started_at: _timestamp_pb2.Timestamp
    checked_at: _timestamp_pb2.Timestamp
    ends_at: _timestamp_pb2.Timestamp
    def __init__(self, node_id: _Optional[int] = ..., issuer: _Optional[str] = ..., subject: _Optional[str] = ..., started_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., checked_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., ends_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class JudgeUserRequest(_message.Message):
    __slots__ = ("user_id",)
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    user_id: int
    def __init__(self, user_id: _Optional[int] = ...) -> None: ...

class JudgeUserResponse(_message.Message):
    __slots__ = ("verdicts", "node_logins")
    VERDICTS_FIELD_NUMBER: _ClassVar[int]
    NODE_LOGINS_FIELD_NUMBER: _ClassVar[int]
    verdicts: _containers.RepeatedCompositeFieldContainer[Verdict]
    node_logins: _containers.RepeatedCompositeFieldContainer[NodeLogin]
    def __init__(self, verdicts: _Optional[_Iterable[_Union[Verdict, _Mapping]]] = ..., node_logins: _Optional[_Iterable[_Union[NodeLogin, _Mapping]]] = ...) -> None: ...

class GetSignInHealthRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetSignInHealthResponse(_message.Message):
    __slots__ = ("providers", "failures")
    PROVIDERS_FIELD_NUMBER: _ClassVar[int]
    FAILURES_FIELD_NUMBER: _ClassVar[int]
    providers: _containers.RepeatedCompositeFieldContainer[ProviderHealth]
    failures: _containers.RepeatedCompositeFieldContainer[SignInFailure]
    def __init__(self, providers: _Optional[_Iterable[_Union[ProviderHealth, _Mapping]]] = ..., failures: _Optional[_Iterable[_Union[SignInFailure, _Mapping]]] = ...) -> None: ...

class ProviderHealth(_message.Message):
    __slots__ = ("name", "label", "issuer", "accepted_issuer", "usable", "reason", "text", "redirect_uri")
    NAME_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    ISSUER_FIELD_NUMBER: _ClassVar[int]
    ACCEPTED_ISSUER_FIELD_NUMBER: _ClassVar[int]
    USABLE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    REDIRECT_URI_FIELD_NUMBER: _ClassVar[int]
    name: str
    label: str
    issuer: str
    accepted_issuer: str
    usable: bool
    reason: str
    text: str
    redirect_uri: str
    def __init__(self, name: _Optional[str] = ..., label: _Optional[str] = ..., issuer: _Optional[str] = ..., accepted_issuer: _Optional[str] = ..., usable: _Optional[bool] = ..., reason: _Optional[str] = ..., text: _Optional[str] = ..., redirect_uri: _Optional[str] = ...) -> None: ...

class SignInFailure(_message.Message):
    __slots__ = ("time", "flow_id", "provider", "reason", "text")
    TIME_FIELD_NUMBER: _ClassVar[int]
    FLOW_ID_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    time: _timestamp_pb2.Timestamp
    flow_id: str
    provider: str
    reason: str
    text: str
    def __init__(self, time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., flow_id: _Optional[str] = ..., provider: _Optional[str] = ..., reason: _Optional[str] = ..., text: _Optional[str] = ...) -> None: ...

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

class PreAuthKey(_message.Message):
    __slots__ = ("id", "user_id", "key", "reusable", "ephemeral", "used", "expiration", "created_at", "tags")
    ID_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    REUSABLE_FIELD_NUMBER: _ClassVar[int]
    EPHEMERAL_FIELD_NUMBER: _ClassVar[int]
    USED_FIELD_NUMBER: _ClassVar[int]
    EXPIRATION_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    id: int
    user_id: int
    key: str
    reusable: bool
    ephemeral: bool
    used: bool
    expiration: _timestamp_pb2.Timestamp
    created_at: _timestamp_pb2.Timestamp
    tags: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, id: _Optional[int] = ..., user_id: _Optional[int] = ..., key: _Optional[str] = ..., reusable: _Optional[bool] = ..., ephemeral: _Optional[bool] = ..., used: _Optional[bool] = ..., expiration: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., tags: _Optional[_Iterable[str]] = ...) -> None: ...

class CreatePreAuthKeyRequest(_message.Message):
    __slots__ = ("user_id", "reusable", "ephemeral", "expiration", "tags")
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    REUSABLE_FIELD_NUMBER: _ClassVar[int]
    EPHEMERAL_FIELD_NUMBER: _ClassVar[int]
    EXPIRATION_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    user_id: int
    reusable: bool
    ephemeral: bool
    expiration: _timestamp_pb2.Timestamp
    tags: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, user_id: _Optional[int] = ..., reusable: _Optional[bool] = ..., ephemeral: _Optional[bool] = ..., expiration: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., tags: _Optional[_Iterable[str]] = ...) -> None: ...

class CreatePreAuthKeyResponse(_message.Message):
    __slots__ = ("pre_auth_key",)
    PRE_AUTH_KEY_FIELD_NUMBER: _ClassVar[int]
    pre_auth_key: PreAuthKey
    def __init__(self, pre_auth_key: _Optional[_Union[PreAuthKey, _Mapping]] = ...) -> None: ...

class ListPreAuthKeysRequest(_message.Message):
    __slots__ = ("user_id",)
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    user_id: int
    def __init__(self, user_id: _Optional[int] = ...) -> None: ...

class ListPreAuthKeysResponse(_message.Message):
    __slots__ = ("pre_auth_keys",)
    PRE_AUTH_KEYS_FIELD_NUMBER: _ClassVar[int]
    pre_auth_keys: _containers.RepeatedCompositeFieldContainer[PreAuthKey]
    def __init__(self, pre_auth_keys: _Optional[_Iterable[_Union[PreAuthKey, _Mapping]]] = ...) -> None: ...

class ExpirePreAuthKeyRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: int
    def __init__(self, id: _Optional[int] = ...) -> None: ...

class ExpirePreAuthKeyResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class DeletePreAuthKeyRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: int
    def __init__(self, id: _Optional[int] = ...) -> None: ...

class DeletePreAuthKeyResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ApiKey(_message.Message):
    __slots__ = ("id", "prefix", "expiration", "created_at", "last_seen")
    ID_FIELD_NUMBER: _ClassVar[int]
    PREFIX_FIELD_NUMBER: _ClassVar[int]
    EXPIRATION_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    LAST_SEEN_FIELD_NUMBER: _ClassVar[int]
    id: int
    prefix: str
    expiration: _timestamp_pb2.Timestamp
    created_at: _timestamp_pb2.Timestamp
    last_seen: _timestamp_pb2.Timestamp
    def __init__(self, id: _Optional[int] = ..., prefix: _Optional[str] = ..., expiration: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., last_seen: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class CreateApiKeyRequest(_message.Message):
    __slots__ = ("expiration",)
    EXPIRATION_FIELD_NUMBER: _ClassVar[int]
    expiration: _timestamp_pb2.Timestamp
    def __init__(self, expiration: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class CreateApiKeyResponse(_message.Message):
    __slots__ = ("key", "api_key")
    KEY_FIELD_NUMBER: _ClassVar[int]
    API_KEY_FIELD_NUMBER: _ClassVar[int]
    key: str
    api_key: ApiKey
    def __init__(self, key: _Optional[str] = ..., api_key: _Optional[_Union[ApiKey, _Mapping]] = ...) -> None: ...

class ListApiKeysRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListApiKeysResponse(_message.Message):
    __slots__ = ("api_keys",)
    API_KEYS_FIELD_NUMBER: _ClassVar[int]
    api_keys: _containers.RepeatedCompositeFieldContainer[ApiKey]
    def __init__(self, api_keys: _Optional[_Iterable[_Union[ApiKey, _Mapping]]] = ...) -> None: ...

class ExpireApiKeyRequest(_message.Message):
    __slots__ = ("prefix", "id")
    PREFIX_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    prefix: str
    id: int
    def __init__(self, prefix: _Optional[str] = ..., id: _Optional[int] = ...) -> None: ...

class ExpireApiKeyResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class DeleteApiKeyRequest(_message.Message):
    __slots__ = ("prefix", "id")
    PREFIX_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    prefix: str
    id: int
    def __init__(self, prefix: _Optional[str] = ..., id: _Optional[int] = ...) -> None: ...

class DeleteApiKeyResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class VerifyApiKeyRequest(_message.Message):
    __slots__ = ("key",)
    KEY_FIELD_NUMBER: _ClassVar[int]
    key: str
    def __init__(self, key: _Optional[str] = ...) -> None: ...

class VerifyApiKeyResponse(_message.Message):
    __slots__ = ("api_key",)
    API_KEY_FIELD_NUMBER: _ClassVar[int]
    api_key: ApiKey
    def __init__(self, api_key: _Optional[_Union[ApiKey, _Mapping]] = ...) -> None: ...
