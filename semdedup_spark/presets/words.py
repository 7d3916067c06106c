"""Negations, stages of a document, and names in quotation marks."""

from __future__ import annotations

from semdedup_spark.presets.preset import Preset, spelled

_APOSTROPHE = "['\u2019\u02bc\uff07]"
_NOT = (
    r"(?<!\Wor\s)not(?!\s(?:only|just|least)(?!\w))",
    r"no(?!\w|\.\s?\d)",
    r"cannot|never|none|nobody|nothing|nowhere|neither|without|w/o",
    r"non-(?=\w)|exclud(?:e|es|ed|ing)|excl\.?|except",
    r"(?:do|does|did|is|are|was|were|has|have|had|ca|wo|would|could|should)nt",
    r"nicht(?!\s(?:nur|zuletzt)(?!\w))|nichts|nie|niemals|niemand(?:e[nm])?|nirgend(?:s|wo)",
    r"kein(?:e[rnms]?|erlei)?|weder|ohne|exkl(?:usive|\.)?|ausgenommen",
)

NEGATION = Preset(
    name="negation",
    languages="English, German",
    protects="how many words of negation there are, such as not, n't, no, never, without, "
    "excluding, kein, nicht, ohne",
    differ=("Coffee with sugar", "Coffee without sugar"),
    same=("You can't enter", "You cannot enter"),
    pattern=rf"(?<!\w)(?:{'|'.join(_NOT)})(?!(?<=\w)\w)"
    rf"|(?<!\w)\w+n{_APOSTROPHE}t(?!\w)|(?<=\w)-free(?!\w)",
    before=((r"^.+$", "not"),),
)

_STAGES = {
    "draft": "draft drafts entwurf entwürfe",
    "final": "final finale finaler finalen finalem finales finalised finalized finalisiert "
    "endgültig endgültige endgültiger endgültigen endgültiges endfassung",
    "preliminary": "preliminary provisional tentative vorläufig vorläufige vorläufiger "
    "vorläufigen vorläufiges",
    "revised": "revised überarbeitet überarbeitete überarbeiteter überarbeiteten überarbeitetes",
    "alpha": "alpha",
    "beta": "beta",
    "rc": "rc release-candidate",
    "preview": "preview prerelease pre-release vorabversion",
    "nightly": "nightly",
    "snapshot": "snapshot",
    "stable": "stable stabil stabile stabiler stabilen stabiles",
    "unstable": "unstable instabil",
    "deprecated": "deprecated obsolete veraltet veraltete veralteter veralteten veraltetes",
}
_ALL_STAGES = spelled(_STAGES)

STAGES = Preset(
    name="stages",
    languages="English, German",
    protects="words for the stage of a document or a program: draft, preliminary, revised, final, "
    "alpha, beta, release candidate, preview, stable, deprecated",
    differ=("Report, draft", "Report, final"),
    same=("Beta 2 of the report", "the report (beta2)"),
    # Not the final of semi-final.
    pattern=r"(?<![^\W\d_])(?<![^\W\d_]-)(?:(?:alpha|beta|rc|release candidate|draft|preview)"
    rf"[\s-]?\d+|release candidate|{'|'.join(sorted(_ALL_STAGES, key=len, reverse=True))})"
    r"(?![^\W_])",
    before=((r"release[\s-]candidate", "rc"), (r"(?<=[a-z])[\s-](?=\d)", "")),
    words=_ALL_STAGES,
)

# A name begins with a capital letter, a digit, or a letter of a script without small letters.
_NAME = r"(?!(?-i:[a-zß-öø-ÿα-ωа-я]))"
_QUOTED = (
    rf"[“„]{_NAME}[^“”„\n]{{1,60}}[“”]",
    rf"«\s?{_NAME}[^«»\n]{{1,60}}»|»{_NAME}[^«»\n]{{1,60}}«",
    rf"‹\s?{_NAME}[^‹›\n]{{1,60}}›|›{_NAME}[^‹›\n]{{1,60}}‹",
    r"「[^「」\n]{1,60}」|『[^『』\n]{1,60}』|《[^《》\n]{1,60}》",
    rf"(?<![\w\"])\"{{1,2}}(?=[^\s\"]){_NAME}[^\"\n]{{1,60}}(?<=\S)\"{{1,2}}(?!\w)",
    rf"(?:``|(?<![\w'])''|‘‘)(?=[^\s']){_NAME}[^`'‘’\n]{{1,60}}(?:''|’’)",
    rf"‚{_NAME}[^‚‘’\n]{{1,60}}[‘’](?!\w)",
    rf"(?<!\w)‘(?=\S){_NAME}[^‘\n]{{1,60}}?(?<=\S)’(?!\w)",
    rf"(?<![\w'])'(?=[^\s']){_NAME}(?:[^'\n]|(?<=\w)'(?=\w)){{1,60}}(?<=\S)'(?![\w'])",
)

NAMES_IN_QUOTES = Preset(
    name="names_in_quotes",
    languages="any",
    protects="names in quotation marks of any kind: up to 60 characters that do not begin with a "
    "small letter",
    differ=("They watched “Alien” again", "They watched “Aliens” again"),
    same=("They watched “Alien,” again", "They watched 'Alien' again"),
    pattern="|".join(_QUOTED),
    before=(
        (r"^[\s\"'`“”„«»‹›「」『』《》‘’‚]+|[\s\"'`“”„«»‹›「」『』《》‘’‚.,;:!?]+$", ""),
        (_APOSTROPHE, "'"),
        (r"\s+", " "),
    ),
)
