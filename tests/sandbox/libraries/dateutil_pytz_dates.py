"""Dates as people write them, zones, and rules of repetition."""

from datetime import datetime, timedelta

import pytz
from dateutil import parser, relativedelta, rrule, tz

assert parser.parse("3rd of March 2025 14:05").isoformat() == "2025-03-03T14:05:00"
assert (datetime(2025, 1, 31) + relativedelta.relativedelta(months=1)).day == 28
assert len(list(rrule.rrule(rrule.WEEKLY, count=10, dtstart=datetime(2025, 1, 1)))) == 10
berlin = tz.gettz("Europe/Berlin")
assert datetime(2025, 7, 1, tzinfo=berlin).utcoffset() == timedelta(hours=2)
assert pytz.timezone("Asia/Tokyo").localize(datetime(2025, 1, 1)).utcoffset() == timedelta(hours=9)
assert datetime.now(tz.tzlocal()).tzinfo is not None
print("ok")
