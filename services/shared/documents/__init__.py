"""Documents that others write (DERP maps, extra DNS records): read within bounds, checked by type and meaning."""

from services.shared.documents.bounded import DocumentError as DocumentError
from services.shared.documents.bounded import DocumentFinding as DocumentFinding
from services.shared.documents.bounded import read_json as read_json
from services.shared.documents.bounded import read_yaml as read_yaml
from services.shared.documents.derp_map import DerpMap as DerpMap
from services.shared.documents.derp_map import Region as Region
from services.shared.documents.derp_map import check_derp_map as check_derp_map
from services.shared.documents.dns_records import Record as Record
from services.shared.documents.dns_records import check_record as check_record
from services.shared.documents.dns_records import check_records as check_records
