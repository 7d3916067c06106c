"""Quantities: a number with its unit, currency, or word such as million."""

from __future__ import annotations

from semdedup_spark.presets.numbers import MINUS, NUMBER, PLAIN_NUMBER
from semdedup_spark.presets.preset import Preset, spelled

_UNITS = {
    # mass
    "mg": "mg milligram milligrams milligramm",
    "g": "g gram grams gramm gramme",
    "kg": "kg kgs kilogram kilograms kilogramm kilo kilos",
    "mcg": "mcg μg ug microgram micrograms mikrogramm",
    "t": "t tonne tonnes tonnen",
    "ton": "ton tons",
    "lb": "lb lbs pound pounds",
    "oz": "oz ounce ounces",
    # length
    "nm": "nm nanometer nanometers nanometre nanometres",
    "μm": "μm micrometer micrometers micrometre micrometres mikrometer",
    "mm": "mm millimeter millimeters millimetre millimetres",
    "cm": "cm centimeter centimeters centimetre centimetres zentimeter",
    "m": "m meter meters metre metres metern",
    "km": "km kilometer kilometers kilometre kilometres kilometern",
    "inch": "inch inches in in. zoll",
    "ft": "ft ft. foot feet fuß",
    "yd": "yd yard yards",
    "mile": "mi mile miles meile meilen",
    # area and volume
    "m²": "m² m2 sqm qm quadratmeter quadratmetern",
    "ft²": "ft² ft2 sqft",
    "m³": "m³ m3 kubikmeter kubikmetern",
    "cm³": "cm³ cm3 ccm",
    "ha": "ha hectare hectares hektar",
    "acre": "acre acres",
    "ml": "ml milliliter milliliters millilitre millilitres",
    "cl": "cl",
    "l": "l liter liters litre litres litern",
    "gallon": "gal gallon gallons",
    # time
    "ms": "ms millisecond milliseconds millisekunde millisekunden",
    "s": "s sec secs second seconds sekunde sekunden",
    "min": "min mins minute minutes minuten",
    "h": "h hr hrs hour hours stunde stunden",
    "day": "day days tag tage tagen",
    "week": "week weeks woche wochen",
    "month": "month months monat monate monaten",
    "year": "year years yr yrs jahr jahre jahren",
    "am": "am am. a.m. a.m",
    "pm": "pm pm. p.m. p.m",
    # speed and rates
    "km/h": "km/h kmh kph",
    "mph": "mph",
    "bit/s": "bps",
    "kbit/s": "kbps kbit/s",
    "mbit/s": "mbps mbit/s",
    "gbit/s": "gbps gbit/s",
    "rpm": "rpm",
    "fps": "fps",
    "dpi": "dpi",
    # memory
    "bit": "bit bits",
    "byte": "byte bytes",
    "kb": "kb kilobyte kilobytes",
    "mb": "mb megabyte megabytes",
    "gb": "gb gigabyte gigabytes",
    "tb": "tb terabyte terabytes",
    "kib": "kib",
    "mib": "mib",
    "gib": "gib",
    "tib": "tib",
    "mp": "mp megapixel megapixels",
    # electricity, energy, frequency, temperature
    "v": "v volt volts",
    "ma": "ma milliamp milliamps",
    "mah": "mah",
    "ah": "ah",
    "w": "w watt watts",
    "kw": "kw kilowatt kilowatts",
    "megaw": "megaw megawatt megawatts",
    "wh": "wh",
    "kwh": "kwh",
    "megawh": "megawh",
    "mw": "mw milliwatt milliwatts",
    "hz": "hz hertz",
    "khz": "khz",
    "mhz": "mhz",
    "ghz": "ghz",
    "db": "db",
    "kcal": "kcal",
    "cal": "cal",
    "kj": "kj",
    "°c": "°c °celsius",
    "°f": "°f °fahrenheit",
    "°": "° degree degrees grad",
    # shares and money
    "%": "% percent prozent pct",
    "pp": "pp prozentpunkt prozentpunkte prozentpunkten",
    "‰": "‰ promille",
    "usd": "usd $ us$ $us dollar dollars",
    "eur": "eur € euro euros",
    "gbp": "gbp £",
    "chf": "chf",
    "jpy": "jpy ¥ yen",
    "cent": "cent cents",
    # large numbers
    "hundred": "hundred hundert",
    "thousand": "thousand thousands tausend k",
    "million": "million millions millionen mio mio. mil mln mn",
    "billion": "billion billions bil bln bn",
    "milliarde": "milliarde milliarden mrd mrd.",
    "billionen": "billionen",
    "trillion": "trillion trillions",
}
_ALL = spelled(_UNITS)
_ENDS = r"(?!\w)"


def _one_of(*units: str) -> str:
    chosen = [one for one, unit in _ALL.items() if not units or unit in units]
    longest_first = sorted(chosen, key=lambda one: (-len(one), one))
    return "|".join(one.replace(".", r"\.").replace("$", r"\$") for one in longest_first)


_LARGE = _one_of("thousand", "million", "billion", "milliarde", "billionen", "trillion")
_MONEY = _one_of("usd", "eur", "gbp", "chf", "jpy")
# These are units only where nothing else can be meant: 10in, but not 10 in.
_ODD = {"in": r"(?<=\d|-)in", "s": r"(?<=\s)s", "t": r"t(?!-)"}
_UNIT = rf"(?:{'|'.join(_ODD.get(one, one) for one in _one_of().split('|'))})"
_SQUARE = r"(?:sq(?:uare|\.)?)\s?"
_PHRASE = (
    r"per cent|percentage points?|°\s?[cf]|(?:degrees?|grad)\s(?:celsius|fahrenheit|c|f)|"
    rf"{_SQUARE}(?:met(?:er|re)s?|feet|foot|ft\.?|m)|cubic met(?:er|re)s?|"
    r"miles per hour|kilomet(?:er|re)s per hour|km per hour|stundenkilometern?|u\.s\. dollars?"
)
_QUANTITY = rf"{MINUS}{NUMBER}(?:\s?-\s?{NUMBER})?"

UNITS = Preset(
    name="units",
    languages="symbols in any; words in English and German",
    protects="quantities: a number with its unit, percent, currency, million, am or pm",
    differ=("Take 10 mg a day", "Take 10 g a day"),
    same=("10 mg, for $5", "10 milligrams for 5 USD"),
    pattern=rf"(?<![\w.,:])\d{{1,2}}(?:[:.]\d\d)?\s?[ap]\.?m\.?(?!\w)"
    rf"|(?<![^\W\d])(?:{_MONEY})\s?{NUMBER}(?:\s?(?:{_LARGE}|m|b){_ENDS})?"
    rf"|(?<![\w.,\"“”])(?<!\d:){_QUANTITY}(?:[\"″]|''|[\s-]?(?:{_LARGE}){_ENDS}(?:\s?{_UNIT}{_ENDS})?"
    rf"|[\s-]?(?:{_PHRASE}|{_UNIT}(?:\s?/\s?{_UNIT})?){_ENDS})",
    before=(
        (rf"^({_MONEY})\s?(.+)$", "$2 $1"),
        (r"(?-i:MW)(h?)$", "megaw$1"),
        (r"(?:[\"″]|'')$", " inch"),
        (r"percentage points?$", "pp"),
        (r"per cent$", "percent"),
        (r"u\.s\. dollars?$", "usd"),
        (r"(?:°|degrees?|grad)\s?(celsius|fahrenheit|c|f)$", " °$1"),
        (rf"{_SQUARE}m(?:et(?:er|re)s?)?$", "m²"),
        (rf"{_SQUARE}f(?:ee|oo)?t\.?$", "ft²"),
        (r"cubic met(?:er|re)s?$", "m³"),
        (r"miles per hour$", "mph"),
        (r"(?:(?:kilomet(?:er|re)s|km) per hour|stundenkilometern?)$", "km/h"),
        (r"(?<=\d)\s?-\s?(?=\d)", "-"),
        (r"(?<=\d)[\s-]?(?=[^\W\d_]|[%‰°$€£¥])", " "),
        (r"\s?/\s?", " / "),
        (r"\s+", " "),
        *PLAIN_NUMBER,
    ),
    words=_ALL,
    after=(
        (r"^(\d+)\.(\d\d) ([ap]m)$", "$1:$2 $3"),
        (r"^(\d+):00 ", "$1 "),
        (r" / ", "/"),
        (r" m (usd|eur|gbp|chf|jpy)$", " million $1"),
        (r" b (usd|eur|gbp|chf|jpy)$", " billion $1"),
    ),
)
