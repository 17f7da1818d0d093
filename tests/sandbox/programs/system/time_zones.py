"""Computes with many time zones, by zoneinfo and by the C library's TZ."""

import os
import subprocess
import time
import zoneinfo
from datetime import UTC, datetime, timedelta

moment = datetime(2024, 7, 1, 12, tzinfo=UTC)
hours = {
    "Europe/Berlin": "14:00 CEST",
    "America/New_York": "08:00 EDT",
    "America/St_Johns": "09:30 NDT",
    "Asia/Kolkata": "17:30 IST",
    "Asia/Tokyo": "21:00 JST",
    "Australia/Adelaide": "21:30 ACST",
    "Africa/Johannesburg": "14:00 SAST",
    "Asia/Kathmandu": "17:45 +0545",
    "Pacific/Chatham": "00:45 +1245",
    "UTC": "12:00 UTC",
}
for name, expected in hours.items():
    assert moment.astimezone(zoneinfo.ZoneInfo(name)).strftime("%H:%M %Z") == expected, name
names = zoneinfo.available_timezones()
assert len(names) > 400
for name in names:
    assert abs(moment.astimezone(zoneinfo.ZoneInfo(name)).utcoffset()) <= timedelta(hours=15), name

berlin = zoneinfo.ZoneInfo("Europe/Berlin")
before = datetime(2024, 3, 31, 1, 30, tzinfo=berlin)
assert (before.astimezone(UTC) + timedelta(hours=1)).astimezone(berlin).hour == 3
assert datetime(2024, 10, 27, 2, 30, tzinfo=berlin, fold=1).utcoffset() == timedelta(hours=1)

assert time.localtime(0).tm_hour == 0
for zone, hour in (("Asia/Tokyo", 9), ("America/Los_Angeles", 16), ("UTC", 0)):
    os.environ["TZ"] = zone
    time.tzset()
    assert time.localtime(0).tm_hour == hour, zone
    shown = subprocess.check_output(["date", "-d", "@0", "+%H"], text=True)
    assert int(shown) == hour
assert time.tzname == ("UTC", "UTC")
assert datetime.fromtimestamp(0).hour == 0
assert datetime.fromisoformat("2024-07-01T12:00:00+02:00").astimezone(UTC).hour == 10
print("done")
