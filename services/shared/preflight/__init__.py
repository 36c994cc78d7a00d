"""What a configuration names, opened before the start: files, folders, certificates, ports; also for `configtest`."""

from services.shared.preflight.inspection import InspectionReport as InspectionReport
from services.shared.preflight.inspection import inspect as inspect
