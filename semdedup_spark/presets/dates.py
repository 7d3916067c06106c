"""Dates, months, weekdays and years."""

from __future__ import annotations

from semdedup_spark.presets.preset import Preset, spelled

_MONTHS = {
    "m01": "jan january januar jänner",
    "m02": "feb february februar",
    "m03": "mar march mär märz maerz",
    "m04": "apr april",
    "m05": "may mai",
    "m06": "jun june juni",
    "m07": "jul july juli",
    "m08": "aug august",
    "m09": "sep sept september",
    "m10": "oct october okt oktober",
    "m11": "nov november",
    "m12": "dec december dez dezember",
}
_ALL = spelled(_MONTHS)
_MONTH = rf"(?:{'|'.join(sorted(_ALL, key=len, reverse=True))})(?![^\W\d_])\.?"
# Those that are hardly ever another word where they stand alone.
_ALONE = "|".join(month for month in _ALL if len(month) > 3 and month not in ("march", "sept"))
_WEEKDAYS = (
    "monday|tuesday|wednesday|thursday|friday|saturday|sunday|"
    "montag|dienstag|mittwoch|donnerstag|freitag|samstag|sonnabend|sonntag"
)
_SHORT = "mon|tues?|wed|thu(?:rs?)?|fri|sat|sun|mo|di|mi|do|fr|sa|so"
_BEFORE_DATE = rf"(?:(?<!\w)(?:{_WEEKDAYS}|{_SHORT})\.?,?\s(?:(?:the|den|der)\s)?)"

_DAY = r"(?:3[01]|[12]\d|0?[1-9])"
_NUMERIC_MONTH = r"(?:1[0-2]|0?[1-9])"
_YEAR = r"(?:1[89]|20)\d\d"
_ORDINAL = r"(?:st|nd|rd|th)"
_DAYS = rf"{_DAY}(?:{_ORDINAL}|\.)?(?:\s?-\s?{_DAY}(?:{_ORDINAL}|\.)?)?"
# In the name of a file, _ stands beside it.
_APART = r"(?<![^\W_])"
_END = r"(?![^\W_])"
_NUMERIC = (
    rf"{_APART}(?<![.-]){_YEAR}([-/.]){_NUMERIC_MONTH}\1{_DAY}(?!\d)",
    rf"{_APART}(?<![.-]){_YEAR}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?!\d)",
    rf"{_APART}(?<![./-])\d{{1,2}}([./-])\d{{1,2}}\2{_YEAR}(?!\d)",
    rf"{_APART}(?<![./-])\d{{1,2}}([./])\d{{1,2}}\3\d\d{_END}(?![./]\d)",
    rf"{_APART}(?<![.-]){_YEAR}-(?:0[1-9]|1[0-2])(?![\d-])",
)
_NAMED = (
    rf"{_APART}(?<![.,]){_DAYS}\s?(?:of\s)?{_MONTH}(?:,?\s?{_YEAR}(?!\d))?",
    rf"{_APART}{_MONTH}\s?{_DAYS}(?!\d)(?:,?\s?{_YEAR}(?!\d))?",
    rf"{_APART}{_MONTH},?\s?{_YEAR}(?!\d)",
)
_OTHERS = (
    rf"{_APART}(?:{_ALONE}|{_WEEKDAYS}){_END}",
    # Not the 6th of `6th edition`.
    rf"{_APART}{_DAY}{_ORDINAL}{_END}(?=\W*$|\s?[^\w\s]|\s(?:and|or|to|until|at|in|on)(?!\w))",
    rf"{_APART}(?:am|vom|zum|bis|ab|seit)\s{_DAY}\.{_NUMERIC_MONTH}\.(?!\d)",
    rf"{_APART}(?<![.,$€£]){_YEAR}(?:/\d\d)?s?{_END}(?![.,]\d)",
)
_BIG = r"(1[3-9]|2\d|3[01])"

DATES = Preset(
    name="dates",
    languages="English, German",
    protects="dates, months, weekdays, years, and days such as 16th",
    differ=("Due on October 15th", "Due on October 16th"),
    same=("October 15, 2024", "15.10.2024"),
    pattern=rf"{_BEFORE_DATE}?(?:{'|'.join(_NUMERIC + _NAMED)})|{'|'.join(_OTHERS)}",
    before=(
        (rf"^{_BEFORE_DATE}(?=.)", ""),
        (r"^(?:am|vom|zum|bis|ab|seit)\s(\d+\.\d+)\.$", "$1"),
        (rf"(?<=\d){_ORDINAL}(?![^\W\d_])|(?<!\w)of(?!\w)", ""),
        (r"(?<!\d)(\d)(?!\d)", "0$1"),
        (rf"^(\d{{4}})[/.](\d\d)[/.](\d\d)$|^({_YEAR})(\d\d)(\d\d)$", "$1$4-$2$5-$3$6"),
        (r"^(\d\d[./]\d\d[./])([0-4]\d)$", "$120$2"),
        (r"^(\d\d[./]\d\d[./])([5-9]\d)$", "$119$2"),
        (rf"^(\d\d)([./-]){_BIG}\2(\d{{4}})$", "$4-$1-$3"),
        (rf"^{_BIG}/(\d\d)/(\d{{4}})$", "$3-$2-$1"),
        (r"^(\d\d)([.-])(\d\d)\2(\d{4})$", "$4-$3-$1"),
        (r"^(\d\d)\.(\d\d)$", "$2-$1"),
        (r"(?<=\d)\.?\s?-\s?(?=\d)", "-"),
        (r"(?<=[^\W\d_])(?=\d)|(?<=\d)(?=[^\W\d_])|[.,\s]+", " "),
        (r"^ | $", ""),
    ),
    words=_ALL,
    after=(
        (r"^(\d\d(?:-\d\d)?) m(\d\d) (\d{4})$", "$3-$2-$1"),
        (r"^(\d\d(?:-\d\d)?) m(\d\d)$", "$2-$1"),
        (r"^m(\d\d) (\d\d(?:-\d\d)?) (\d{4})$", "$3-$1-$2"),
        (r"^m(\d\d) (\d\d(?:-\d\d)?)$", "$1-$2"),
        (r"^m(\d\d) (\d{4})$", "$2-$1"),
        (r"^m(\d\d)$", "month $1"),
    ),
)
