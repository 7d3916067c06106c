"""Names of secrets, and patterns of them inside of texts."""

from __future__ import annotations

import re

# Parts of a key's name, without its separators: fs.s3a.secret.key, sfPassword, X-Amz-Signature.
_IN_NAME = re.compile(
    r"password|passwd|passphrase|secret|credential|signature|authorization"
    r"|(?:access|account|api|auth|private|shared|storage|encryption|sas|subscription|master)key"
    r"|connectionstring|(?:sas|session|access|refresh|security|bearer|auth|id)token"
)
_WORDS_IN_NAME = {"token", "sas", "sig", "pwd", "pw", "pass", "auth"}
_NOT_SECRET = {"auth": ("type", "provider", "mechanism", "method")}
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")

# In the patterns the group ``secret`` is what to mask.
# A user and a password before a host, not a host and a port. The secret keys of S3 hold slashes.
PASSWORD = re.compile(
    r"(?<=://)[^\s/@:'\"`<>]*:(?!\d+(?:[/\s;?,&]|$))"
    r"(?P<secret>[^\s/?#'\"`<>]*(?:'(?=\w)[^\s/?#'\"`<>]*){0,4}"
    r"|[^\s@'\"`<>]+(?:'(?=\w)[^\s@'\"`<>]*){0,4})@(?=[\w\[.*-])"
)
# A user without a password. With other schemes it is no secret: abfss://container@account.
USER = re.compile(
    r"(?i)(?P<scheme>\b(?:https?|ftps?|s3[an]?|gs|git|ssh)://)(?P<secret>[^\s/@:'\"`<>]+)@(?=[\w\[.-])"
)
ORACLE = re.compile(r"(?i)(?P<scheme>\bjdbc:oracle:\w+:)[^\s@/]+/(?P<secret>[^\s@]+)(?=@)")
# What stands before a value: name=, "name": and the like, or the --name of a command line.
NAME = re.compile(
    r"(?<![\w.\-])(?:"
    r"-{0,2}(?P<name>[A-Za-z][\w.\-]*)\\?[\"']{0,2}[ \t]*(?:->|=>|=|:(?!//))[ \t]*"
    r"|-{1,2}(?P<option>[A-Za-z][\w.\-]*)[ \t]+(?!-))"
)
# Any word may be the scheme of an Authorization header: "token abc".
SCHEME = re.compile(r"[A-Za-z][\w\-]*[ \t]+(?=[^\s;&,)}\]\"'<>`])")
# A list is masked as a whole, and so is what ODBC writes in braces. What begins with a quote and
# has no second one was cut: it is masked up to the end of its line. A bare value may hold a quote;
# the one that ends an outer text is followed by a blank, a bracket or the like.
VALUE = re.compile(
    r"\\\"(?P<escaped>[^\"\\]*)\\\""
    r"|\"\"(?P<doubled>[^\"]+)\"\""
    r"|\"(?P<double>(?:[^\"\\]|\\.|\"\")*)\"|'(?P<single>(?:[^'\\]|\\.|'')*)'"
    r"|\[(?P<listed>(?:\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'|[^\[\]\"'])*)\]"
    r"|\{(?P<braced>(?:[^{}]|\}\})*)\}"
    r"|[\[{]*[ \t]*[\"'](?P<open>[^\n]+)"
    r"|(?P<bare>(?:(?i:Bearer|Basic|Digest|Token|ApiKey)[ \t]+)?"
    r"(?:[^\s;&,)}\]\"'<>`]|[\"'`](?![\"'`]{0,3}[.:!?]{0,3}(?:[\s;&,)}\]<>]|\Z)))+)"
)
KNOWN_FORMS = re.compile(
    r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"
    r"|\bgh[pousr]_[A-Za-z0-9]{30,}|\bgithub_pat_\w{30,}|\bhf_[A-Za-z0-9]{30,}|\bdapi[0-9a-f]{32}\b"
    r"|\bxox[abprs]-[\w-]{10,}|\bsk-[\w-]{20,}|\bAIza[\w-]{35}\b|\bya29\.[\w-]{20,}"
    r"|\bgl(?:pat|rt|dt|ptt|cbt|oas)-[\w-]{12,}|\b[rs]k_(?:live|test)_[A-Za-z0-9]{10,}"
    r"|\bnpm_[A-Za-z0-9]{20,}|\bpypi-[\w-]{30,}"
    r"|\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"
    r"|(?<=Bearer )[\w.~+/=-]{8,}|(?<=Basic )[\w+/=-]{8,}"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
    re.DOTALL,
)


def is_secret_name(name: str) -> bool:
    """Whether the value of a key with this name is a secret.

    Parameters
    ----------
    name
        Such as ``fs.s3a.secret.key`` or ``sasToken``.

    Returns
    -------
    bool
        True if its words say so.
    """
    words = [word.lower() for word in _WORD.findall(name)]
    if _IN_NAME.search("".join(words)):
        return True
    for place, word in enumerate(words):
        if word in _WORDS_IN_NAME:
            return not set(words[place + 1 :]) & set(_NOT_SECRET.get(word, ()))
    return False
