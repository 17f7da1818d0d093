"""Sets the locale, and formats and sorts by it; asks for one that is not there."""

import locale
import subprocess
import sys
import time

assert locale.setlocale(locale.LC_ALL, "") == "C.UTF-8"
assert locale.setlocale(locale.LC_ALL, "C.UTF-8") == "C.UTF-8"
assert locale.getpreferredencoding(False).upper() == "UTF-8"
assert sys.getfilesystemencoding() == "utf-8"
assert locale.localeconv()["decimal_point"] == "."
assert locale.format_string("%.2f", 1234.5, grouping=True) == "1234.50"
assert locale.atof("3.25") == 3.25
assert time.strftime("%A %d %B %Y", time.gmtime(0)) == "Thursday 01 January 1970"
words = ["zebra", "Apfel", "äpfel", "Zug"]
assert sorted(words, key=locale.strxfrm) == sorted(words)
assert locale.strcoll("a", "b") < 0
try:
    locale.setlocale(locale.LC_ALL, "xx_XX.UTF-8")
except locale.Error:
    refused = True
assert refused
assert "LANG=C.UTF-8" in subprocess.check_output(["locale"], text=True)
assert subprocess.check_output(["sh", "-c", "printf 'b\\na\\nä\\n' | sort"], text=True) == "a\nb\nä\n"
print("done")
