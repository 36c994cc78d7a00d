"""Examines sign-in from the outside for the command line: providers, our own address, and stored identities.

Each check has a finding and, for a problem, its cause and remedy. Nothing here changes anything or
signs anybody in. This package is the only part of the service that the command line may import besides its wiring.
"""

from services.auth.doctor.examine import examine as examine
from services.auth.doctor.examine import examine_provider as examine_provider
from services.auth.doctor.identity import StoredIdentity as StoredIdentity
from services.auth.doctor.identity import examine_identity as examine_identity
from services.auth.doctor.report import DoctorReport as DoctorReport
from services.auth.doctor.report import Finding as Finding
from services.auth.doctor.report import Level as Level
from services.auth.doctor.sections import fault_of_sections as fault_of_sections
from services.auth.doctor.server import examine_server_url as examine_server_url
