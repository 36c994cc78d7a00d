"""gRPC between the services, in process or over sockets: identity, deadlines, errors and telemetry."""

from services.shared.rpc.client import OutgoingChannel as OutgoingChannel
from services.shared.rpc.client import dial as dial
from services.shared.rpc.errors import answers as answers
from services.shared.rpc.identity import NoIdentityError as NoIdentityError
from services.shared.rpc.identity import machine_key_of as machine_key_of
from services.shared.rpc.identity import with_machine_key as with_machine_key
from services.shared.rpc.interceptors import ObserveInterceptor as ObserveInterceptor
from services.shared.rpc.local import LocalChannel as LocalChannel
from services.shared.rpc.local import LocalServer as LocalServer
from services.shared.rpc.server import RpcServer as RpcServer
