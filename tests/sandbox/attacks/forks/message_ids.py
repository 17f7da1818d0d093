"""Writes the head of an e-mail and of a form: their identifiers and boundaries come from a shared generator.

Stopped by: fork state
Succeeds by: repeating
"""

import email.utils
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText

# <time.process.number@host>: the number has to differ when the other two do not.
print("VALUE message", email.utils.make_msgid(domain="localhost").split(".")[2].partition("@")[0])
message = MIMEMultipart()
message.attach(MIMEText("text"))
message.as_string()
print("VALUE boundary", message.get_boundary())
print("tried")
