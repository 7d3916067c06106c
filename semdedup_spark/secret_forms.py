"""Patterns of secrets inside of texts. The group ``secret`` is what to mask."""

from __future__ import annotations

import re

# A user and a password before a host, not a host and a port. The secret keys of S3 hold slashes.
PASSWORD = re.compile(
    r"(?<=://)[^\s/@:'\"`<>]*:(?!\d+(?:[/\s;?,&]|$))(?P<secret>[^\s/?#'\"`<>]*|[^\s@'\"`<>]+)"
    r"@(?=[\w\[.*-])"
)
# A user without a password. With other schemes it is no secret: abfss://container@account.
USER = re.compile(
    r"(?i)(?P<scheme>\b(?:https?|ftps?|s3[an]?|gs|git|ssh)://)(?P<secret>[^\s/@:'\"`<>]+)@(?=[\w\[.-])"
)
ORACLE = re.compile(r"(?i)(?P<scheme>\bjdbc:oracle:\w+:)[^\s@/]+/(?P<secret>[^\s@]+)(?=@)")
NAME = re.compile(r"(?<![\w.\-])(?P<name>[A-Za-z][\w.\-]*)\\?[\"']?[ \t]*(?:->|=>|=|:(?!//))[ \t]*")
VALUE = re.compile(
    r"\\\"(?P<escaped>[^\"\\]*)\\\"|\"(?P<double>(?:[^\"\\]|\\.)*)\"|'(?P<single>(?:[^'\\]|\\.)*)'"
    r"|(?P<bare>(?:(?:Bearer|Basic|Digest)\s+)?[^\s;&,)}\]\"'<>`]+)"
)
KNOWN_FORMS = re.compile(
    r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"
    r"|\bgh[pousr]_[A-Za-z0-9]{30,}|\bgithub_pat_\w{30,}|\bhf_[A-Za-z0-9]{30,}|\bdapi[0-9a-f]{32}\b"
    r"|\bxox[abprs]-[\w-]{10,}|\bsk-[\w-]{20,}|\bAIza[\w-]{35}\b|\bya29\.[\w-]{20,}"
    r"|\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"
    r"|(?<=Bearer )[\w.~+/=-]{8,}|(?<=Basic )[\w+/=-]{8,}"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
    re.DOTALL,
)
