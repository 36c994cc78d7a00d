"""Examines a sign-in provider from the outside, without signing anybody in and without harm to it.

Each check says what was found, and where that is not well its cause and its remedy. Nothing here changes anything.
"""

from services.auth.doctor.examine import examine as examine
from services.auth.doctor.report import DoctorReport as DoctorReport
from services.auth.doctor.report import Finding as Finding
from services.auth.doctor.report import Level as Level
