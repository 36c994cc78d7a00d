"""Opens what a configuration names (files, folders, certificates, ports) before the start, or for `configtest`."""

from services.shared.preflight.inspection import InspectionReport as InspectionReport
from services.shared.preflight.inspection import inspect as inspect
