"""Numbers, and numbers of versions. Other presets take the forms of numbers from here."""

from __future__ import annotations

from semdedup_spark.presets.preset import Preset, spelled

# Thousands apart by an apostrophe or by a space that does not break; else digits, points, commas.
# No group may repeat without end: Java's regular expressions recurse, and a long list such as
# 1,1,1 would overflow the stack.
NUMBER = (
    r"(?:[1-9]\d{0,2}(?:['\u2019\u00a0\u2009\u202f]\d{3}){1,9}(?!\d)(?:[.,]\d+)?"
    r"|\d+(?:[.,]\d+){0,30})"
)
# A sign, where no letter or number stands before it.
MINUS = r"(?:(?<![^\s(=:])-)?"
_HEAD = r"^(-?[1-9]\d{0,2})"
_END = r"(?=\s|$)"
# Of a number at the begin of a match: thousands together, and a decimal comma as a point. A point
# before three digits may be either, so `1.000` stays.
PLAIN_NUMBER = (
    (
        rf"{_HEAD}([,.'\u2019\u00a0\u2009\u202f])(\d{{3}})\2(\d{{3}})(?:\2(\d{{3}}))?(?:\2(\d{{3}}))?"
        rf"((?:[.,]\d+)?){_END}",
        "$1$3$4$5$6$7",
    ),
    (rf"{_HEAD}[,'\u2019\u00a0\u2009\u202f](\d{{3}})((?:[.,]\d+)?){_END}", "$1$2$3"),
    (rf"{_HEAD}\.(\d{{3}})(,\d+){_END}", "$1$2$3"),
    (rf"^(-?\d+),(\d+){_END}", "$1.$2"),
    (r"^(-?)\.(?=\d)", "$10."),
)
# No word for one: `one` and `ein` are more often no numbers.
_WORDS = {
    "2": "two zwei ii",
    "3": "three drei iii",
    "4": "four vier iv",
    "5": "five fünf fuenf",
    "6": "six sechs vi",
    "7": "seven sieben vii",
    "8": "eight acht viii",
    "9": "nine neun ix",
    "10": "ten zehn",
    "11": "eleven elf",
    "12": "twelve zwölf zwoelf xii",
    "13": "xiii",
    "14": "xiv",
    "15": "xv",
    "1/2": "½",
    "1/3": "⅓",
    "2/3": "⅔",
    "1/4": "¼",
    "3/4": "¾",
    "1/8": "⅛",
}
_NUMERALS = "|".join(word for word in spelled(_WORDS) if word.isalpha())

NUMBERS = Preset(
    name="numbers",
    languages="any; words from two to twelve in English and German",
    protects="numbers as they are written: digits, sign, leading and trailing zeros",
    differ=("Release 1.10 is out", "Release 1.1 is out"),
    same=("1,000 rows in two files", "1000 rows in 2 files"),
    pattern=rf"{MINUS}(?:(?<![\w.])\.\d+(?![.\d])|(?<![\d/.,])\d/\d(?![\d/])"
    rf"|{NUMBER}(?:e[+-]?\d+(?!\w))?)|[½⅓⅔¼¾⅛]|(?<!\w)(?:{_NUMERALS})(?!\w)",
    before=PLAIN_NUMBER,
    words=spelled(_WORDS),
)

_STAGE = "alpha|beta|rc|release candidate|preview|snapshot|nightly|dev|final|patch|sp"
_SUFFIX = rf"(?:[-_.+ ]?(?:{_STAGE})(?![^\W\d_])(?:[-_. ]?\d+)?)?"
# In the name of a file, _ stands before it.
_CALLED = r"(?<![^\W_])(?:versions?|ver\.?|releases?|rel\.?|revisions?|rev\.?|v\.?)\s?"
_LETTER = r"[a-z]\d*(?![^\W_])"

VERSIONS = Preset(
    name="versions",
    languages="any",
    protects="numbers with a point, and numbers after v, version, release or revision, "
    "each with its alpha, beta, rc and so on",
    differ=("Python 3.10", "Python 3.1"),
    same=("Version 2.0 RC 1", "v2.0-rc1"),
    pattern=rf"{_CALLED}\d+(?:\.\d+){{0,30}}(?:{_LETTER}|{_SUFFIX})"
    rf"|(?<![\d.,$€£])\d+(?:(?:\.\d+){{2,30}}{_LETTER}|(?:\.\d+){{1,30}}[ab]\d+(?![^\W_])"
    rf"|(?:\.\d+){{1,30}}(?![\d,]|\s?[%$€£]){_SUFFIX})",
    before=(
        (r"^\d{1,2}\.\d{1,2}\.(?:19|20)\d\d$", ""),
        (rf"^{_CALLED}", ""),
        (r"release candidate", "rc"),
        (r"(?<=\d)a(?=\d)", "alpha"),
        (r"(?<=\d)b(?=\d)", "beta"),
        (r"(?<=\d)[-_.+ ](?=[a-z])|(?<=[a-z])[-_. ](?=\d)", ""),
    ),
)
