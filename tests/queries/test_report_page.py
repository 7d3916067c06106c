"""The page alone, from made-up results: what comes from a source stays text."""

import io
from dataclasses import replace
from datetime import datetime, timezone
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from semdedup_spark.encoders.image.thumbnails import thumbnail
from semdedup_spark.pipeline.queries.report_result import Group, Overview, Reason, Shown, StageLine
from semdedup_spark.pipeline.queries.summary import Example
from semdedup_spark.pipeline.queries.tune_result import SourceShare, Threshold, Tuning
from semdedup_spark.report.differences import marked, shortened
from semdedup_spark.report.figures import tune_figure
from semdedup_spark.report.html import render_report
from semdedup_spark.visible import visible

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</style><style>*{display:none}",
    "{{ 7 * 191 }}{% raw %}",
    "&lt;b&gt; &amp;",
    "\u202eright to left\u202c שלום عالم",
    "w" * 5000,
    "nul \x00 escape \x1b[31m bell \x07 lone \ud800",
]
VOID = {"meta", "img", "path", "use", "rect", "br"}


class Page(HTMLParser):
    """Tags with their attributes, and the text between them."""

    def __init__(self, html):
        super().__init__(convert_charrefs=True)
        self.tags, self.words, self.open = [], [], []
        self.feed(html)
        self.text = "".join(self.words)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


def picture():
    held = io.BytesIO()
    Image.new("RGB", (700, 300), "teal").save(held, "PNG")
    return thumbnail(held.getvalue())


def overview(words="a text", *, with_pictures=False):
    image = picture() if with_pictures else None
    tuning = Tuning(
        rows=100,
        copies=3,
        eps_max=0.3,
        recall="cluster",
        selected=0.05,
        thresholds=[Threshold(e, 1 - e, int(100 * e), 0.5) for e in (0.01, 0.05, 0.1)],
        targets=[],
        curve=[(i / 200, 1 - i / 200) for i in range(61)],
        histogram=[(i / 50, (i + 1) / 50, i) for i in range(50)],
        by=words,
        sources=[SourceShare(words, 100, [0.99, 0.95, 0.9])],
    )
    members = [Shown(words, f"{words} {i}", 0.96, image) for i in range(3)]
    group = Group(Shown(words, words, 1.0, image), members, 9)
    pair = Example(words, f"one {words}", words, f"another {words}", 0.951)
    line = StageLine(
        "select",
        "run-1",
        datetime(2026, 1, 2, tzinfo=timezone.utc),
        1.5,
        False,
        {"scores": words},
        {"duplicates": 4},
        {"read": 101},
        {},
    )
    return Overview(
        output=words,
        selection=None,
        resolution="paper",
        eps=0.05,
        counts={"read": 101, "kept": 95, "removed": 5, "quarantined": 1, "uncovered": 1},
        tuning=tuning,
        n_groups=2,
        cluster_sizes=[60, 40],
        removed_per_cluster=[5],
        largest=[group],
        drawn=[group],
        edges=[pair],
        uncovered=[pair],
        reasons=[Reason("empty_text", 1, words, words)],
        lineage=[line],
        settings={"select": words},
        software={"pyspark": "4.1.1"},
        pictures={words: image} if image else {},
        survivor_pictures={words: image} if image else {},
        has_reference=False,
    )


@pytest.mark.parametrize("words", HOSTILE, ids=range(len(HOSTILE)))
def test_what_comes_from_the_source_stays_text(words):
    harmless, page = Page(render_report(overview())), Page(render_report(overview(words)))
    assert page.open == []
    added = [tag for tag, _ in page.tags if tag not in ("mark", "p")]
    assert added == [tag for tag, _ in harmless.tags if tag not in ("mark", "p")]
    assert shortened(words, 80) in page.text
    for _, attributes in page.tags:
        assert not [name for name in attributes if name.startswith("on")]


def test_no_script_no_network_and_a_policy_that_forbids_both():
    html = render_report(overview(with_pictures=True))
    page = Page(html)
    assert "script" not in {tag for tag, _ in page.tags}
    for tag, attributes in page.tags:
        place = attributes.get("src") or attributes.get("href") or attributes.get("xlink:href")
        assert place is None or place.startswith(("data:image/jpeg;base64,", "#")), (tag, place)
    policies = [a["content"] for tag, a in page.tags if a.get("http-equiv")]
    assert policies == ["default-src 'none'; img-src data:; style-src 'unsafe-inline'"]
    assert "url(http" not in html
    assert "@import" not in html


def test_links_within_the_page_arrive():
    page = Page(render_report(overview()))
    ids = {attributes.get("id") for _, attributes in page.tags}
    named = [a["href"][1:] for tag, a in page.tags if tag == "a"]
    assert named
    assert set(named) <= ids


def test_groups_of_images_show_them_and_say_which_cannot_be_read():
    shown = overview(with_pictures=True)
    lost = replace(shown.drawn[0], members=[Shown("gone", "", 0.97)])
    page = Page(render_report(replace(shown, drawn=[lost])))
    assert "no longer readable" in page.text
    assert sum(tag == "img" for tag, _ in page.tags) == 1 + 4 + 4  # drawn, largest, two pairs
    assert "and 8 more" in page.text


def test_a_report_of_nothing_removed_is_a_page_too():
    empty = replace(
        overview(),
        counts={"read": 0, "kept": 0, "removed": 0, "quarantined": 0},
        cluster_sizes=[],
        removed_per_cluster=[],
        largest=[],
        drawn=[],
        edges=[],
        uncovered=[],
        reasons=[],
    )
    text = Page(render_report(empty)).text
    assert "Nothing was removed" in text
    assert "No row was rejected" in text


def test_the_same_results_make_the_same_page_and_the_same_picture():
    assert render_report(overview()) == render_report(overview())
    assert tune_figure(overview().tuning) == tune_figure(overview().tuning)


@given(st.text(max_size=60), st.text(max_size=60))
def test_marked_pieces_are_the_texts_themselves(a, b):
    left, right = marked(a, b)
    assert "".join(p.text for p in left) == visible(a)
    assert "".join(p.text for p in right) == visible(b)
    same = ["".join(p.text for p in side if not p.differs) for side in (left, right)]
    assert same[0].split() == same[1].split() or any(p.differs for p in (*left, *right))


def test_of_long_texts_the_first_difference_is_shown():
    common = "the same words again and again " * 60
    left, right = marked(common + "an end", common + "another finish")
    assert "another finish" in "".join(p.text for p in right)
    assert [p.text for p in left if p.differs] != []
    assert left[0].text == "… "


def test_control_characters_become_symbols():
    assert visible("a\x00b\x1b\x7f\x85c\nd\t") == "a␀b␛␡\ufffdc\nd\t"


def test_thumbnails_are_small_and_what_is_no_image_has_none():
    with Image.open(io.BytesIO(picture())) as small:
        assert small.size == (160, 69)
        assert small.format == "JPEG"
    assert thumbnail(b"no image") is None
    assert thumbnail(b"") is None
    assert thumbnail(None) is None
