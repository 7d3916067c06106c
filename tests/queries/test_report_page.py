"""The page alone, from made-up results: what comes from a source stays text."""

import io
from dataclasses import replace
from datetime import datetime, timezone
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from semdedup_spark.answers.overview import Example, Group, Overview, Reason, Shown, StageLine
from semdedup_spark.answers.tuning import SourceShare, Threshold, Tuning
from semdedup_spark.encoders.image.thumbnails import thumbnail
from semdedup_spark.report.differences import marked, names, shortened
from semdedup_spark.report.figures import tune_figure
from semdedup_spark.report.html import render_report
from semdedup_spark.report.verdict import flat_stretch, from_horizon, verdict
from semdedup_spark.visible import shown, visible

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
        sources=[SourceShare(name, 50, [0.99, 0.95, 0.9]) for name in (words, "b")],
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
        columns={words: ((words, words),)},
        survivor_columns={words: ((words, words),)},
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
    page = Page(render_report(replace(shown, largest=[], drawn=[lost])))
    assert "no longer readable" in page.text
    assert sum(tag == "img" for tag, _ in page.tags) == 1 + 4  # the kept row, and two pairs
    assert "and 8 more" in page.text


def test_a_group_that_is_among_the_largest_and_was_drawn_too_is_shown_once():
    tags = Page(render_report(overview())).tags
    assert sum(tag == "article" and a["class"] == "group" for tag, a in tags) == 1


def nothing():
    return replace(
        overview(),
        counts={"read": 0, "kept": 0, "removed": 0, "quarantined": 0},
        tuning=replace(overview().tuning, rows=0, copies=0, sources=[]),
        n_groups=0,
        cluster_sizes=[],
        removed_per_cluster=[],
        largest=[],
        drawn=[],
        edges=[],
        uncovered=[],
        reasons=[],
    )


def test_the_curve_says_how_many_decisions_of_people_it_does_not_count():
    plain = overview()
    assert "verrides" not in Page(render_report(plain)).text
    decided = replace(plain, tuning=replace(plain.tuning, overrides=3))
    told = " ".join(Page(render_report(decided)).text.split())
    assert "Overrides are not counted here: 3 rows that people restored or removed." in told


def sections(of):
    return [attributes["id"] for tag, attributes in Page(render_report(of)).tags if tag == "h2"]


def test_a_report_of_nothing_removed_is_a_page_too():
    assert "Nothing was removed" in Page(render_report(nothing())).text


def test_sections_with_one_cluster_one_value_or_nothing_to_say_are_left_out():
    whole = ["thresholds", "edge", "uncovered", "groups", "clusters", "sources", "quarantine"]
    assert sections(overview()) == [*whole, "lineage"]
    assert sections(nothing()) == ["lineage"]
    one = replace(
        overview(),
        cluster_sizes=[100],
        tuning=replace(overview().tuning, sources=[SourceShare("a", 100, [1.0, 1.0, 1.0])]),
    )
    assert set(whole) - set(sections(one)) == {"clusters", "sources"}


def test_file_names_stand_in_front_and_paths_in_tooltips():
    path, other = "file:/photos/2024/sea.jpg", "file:/photos/2023/lake.jpg"
    pair = Example(path, "", other, "", 0.96, neighbor_id=other)
    html = render_report(replace(overview(), edges=[pair]))
    page = Page(html)
    assert {path, other} <= {a.get("title") for tag, a in page.tags if tag == "bdi"}
    assert "sea.jpg" in page.words
    assert "lake.jpg" in page.words
    assert path not in page.text


def test_a_secret_of_an_address_is_masked_also_where_only_its_end_is_shown():
    hidden = ["https://me:hunter2secret@host/", "https://host/x?sig=abcdefgh/hunter2secret%3D"]
    pairs = [Example(each, "", "kept", "", 0.96) for each in hidden]
    assert "hunter2secret" not in render_report(replace(overview(), edges=pairs))


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        (("/a/x.jpg", "/b/y.jpg"), ["x.jpg", "y.jpg"]),
        (("/a/c/x.jpg", "/b/c/x.jpg"), ["a/c/x.jpg", "b/c/x.jpg"]),
        (("/b/x.jpg", "/b/x.jpg"), ["x.jpg", "x.jpg"]),
        (("x.jpg", "/x.jpg"), ["x.jpg", "/x.jpg"]),
        (("doc 17",), ["doc 17"]),
        (("https://site/page/",), ["page"]),
        (("/",), ["/"]),
        (("",), [""]),
    ],
)
def test_a_name_is_the_end_of_a_path_as_long_as_it_must_be(ids, expected):
    assert names(*ids) == expected


def test_other_columns_are_a_small_table_after_the_text():
    shown = replace(overview(), columns={"a text": (("site", "<b>"), ("year", "1999"))})
    page = Page(render_report(shown))
    assert [a for tag, a in page.tags if tag == "table" and a.get("class") == "fields"]
    places = [page.text.index(word) for word in ("one a text", "site", "<b>", "year", "1999")]
    assert places == sorted(places)


def test_pictures_show_what_the_image_itself_measures():
    text = Page(render_report(overview(with_pictures=True))).text
    assert f"700 x 300 pixels, {picture().n_bytes / 1000:.3g} kB" in text


def test_pairs_at_the_edge_come_in_the_order_of_similarity():
    pairs = [Example(str(i), "", "kept", "", 0.95 + i / 100) for i in (3, 1, 4, 2)]
    text = Page(render_report(replace(overview(), edges=pairs))).text
    places = [text.index(f"{similarity:.4f}") for similarity in (0.96, 0.97, 0.98, 0.99)]
    assert places == sorted(places)


def test_the_page_follows_dark_mode_and_is_light_on_paper():
    html = render_report(overview())
    assert "@media screen and (prefers-color-scheme: dark)" in html
    assert "@media print" in html


def test_the_histogram_begins_at_the_horizon_and_says_how_many_rows_are_below():
    below, bins = from_horizon(overview().tuning)
    assert below == 70
    assert bins[0][0] == pytest.approx(0.7)
    assert bins[-1][1] == 1
    assert [rows for *_, rows in bins] == [1] * 30
    assert "70 rows below it" in Page(render_report(overview())).text


def test_bins_are_even_where_thresholds_lie_between_or_beside_their_edges():
    even = [(0.3 * i / 30, 1 - i / 60) for i in range(31)]
    more = sorted([*even, (0.003, 1.0), (0.07, 1 - 7 / 60), (0.15 + 1e-16, 0.75)])
    tuning = replace(overview().tuning, rows=60)
    for curve in (even, more):
        below, bins = from_horizon(replace(tuning, curve=curve))
        assert below == 30
        assert [rows for *_, rows in bins] == [1] * 30
        assert all(high - low == pytest.approx(0.01) for low, high, _ in bins)


STEPS = [(0.0, 1.0), (0.1, 0.9), (0.2, 0.9), (0.3, 0.8), (0.6, 0.8), (0.7, 0.4)]
FLAT = [(0.0, 1.0), (0.01, 0.9), (0.02, 0.9), (0.03, 0.899), (0.04, 0.8), (0.1, 0.5)]


@pytest.mark.parametrize(
    ("curve", "selected", "expected"),
    [
        (FLAT, None, (0.01, 0.03)),
        ([(i / 10, 1 - i / 10) for i in range(5)], None, None),  # a steady fall
        ([(0.0, 1.0), (0.1, 0.96), (0.2, 0.95), (0.3, 0.2)], None, None),  # 1 % of the rows
        # 0.4 % of the rows, but a tenth of all that the horizon removes
        ([(0.0, 1.0), (0.1, 0.964), (0.2, 0.96), (0.3, 0.95)], None, None),
        ([(0.0, 1.0), (0.001, 0.9), (0.002, 0.9), (0.1, 0.5)], None, None),  # too short
        # nearly everything is gone, and of what is left most goes on going
        ([(0.0, 1.0), (0.1, 0.3), (0.2, 0.006), (0.3, 0.002)], None, None),
        ([(0.0, 1.0), (0.1, 0.3), (0.2, 0.06), (0.3, 0.0596)], None, (0.2, 0.3)),
        ([(0.0, 1.0), (0.1, 0.3), (0.2, 0.002), (0.3, 0.002)], None, None),  # one row is left
        ([(0.0, 1.0), (0.001, 1.0)], None, None),  # one point is no stretch
        (
            [(0.0, 1.0), (0.1, 0.9), (0.2, 0.9), (0.3, 0.8), (0.6, 0.8), (0.7, 0.4)],
            0.15,
            (0.1, 0.2),
        ),
        (STEPS, 0.7, (0.3, 0.6)),
        ([], None, None),
    ],
)
def test_the_flat_stretch_is_the_one_found_by_hand(curve, selected, expected):
    assert flat_stretch(curve, selected) == expected


@pytest.mark.parametrize(
    ("curve", "selected", "expected"),
    [
        (
            FLAT,
            0.02,
            "nearly flat from eps 0.01 to 0.03: any eps there gives nearly the same. The "
            "eps in use, 0.02, is one of them.",
        ),
        (FLAT, 0.1, "The eps in use, 0.1, is outside of it."),
        ([(i / 10, 1 - i / 10) for i in range(4)], 0.1, "no flat stretch up to eps 0.3"),
        ([(0.0, 1.0), (0.1, 1.0), (0.2, 1.0)], 0.1, "No eps up to 0.2 removes a row."),
    ],
)
def test_the_verdict_says_in_words_what_the_curve_shows(curve, selected, expected):
    shown = replace(overview().tuning, curve=curve, selected=selected)
    assert expected in verdict(shown)
    assert expected in Page(render_report(replace(overview(), tuning=shown))).text


def test_there_is_no_verdict_on_nothing():
    assert verdict(replace(overview().tuning, rows=0)) == ""


def test_the_same_results_make_the_same_page_and_the_same_picture():
    assert render_report(overview()) == render_report(overview())
    assert tune_figure(overview().tuning) == tune_figure(overview().tuning)


@given(st.text(max_size=60), st.text(max_size=60))
def test_marked_pieces_are_the_texts_themselves(a, b):
    left, right = marked(a, b)
    assert "".join(p.text for p in left) == shown(a)
    assert "".join(p.text for p in right) == shown(b)
    same = ["".join(p.text for p in side if not p.differs) for side in (left, right)]
    assert same[0].split() == same[1].split() or any(p.differs for p in (*left, *right))


def test_of_long_texts_the_first_difference_is_shown():
    common = "the same words again and again " * 60
    left, right = marked(common + "an end", common + "another finish")
    assert "another finish" in "".join(p.text for p in right)
    assert [p.text for p in left if p.differs] != []
    assert left[0].text == "… "


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("password=alphaSecret1", "password=betaSecret22"),
        ("see https://u:alphaSecret1@h", "see https://u:betaSecret22@h"),
        ('"password": ["alphaSecret1"]', '"password": ["betaSecret22"]'),
    ],
)
def test_a_secret_is_masked_before_texts_are_cut_into_words(a, b):
    pair = Example("one", a, "two", b, 0.96)
    html = render_report(replace(overview(), edges=[pair], uncovered=[pair]))
    assert "alphaSecret" not in html
    assert "betaSecret" not in html
    assert not [piece for side in marked(a, b) for piece in side if "Secret" in piece.text]


@pytest.mark.parametrize("most", [5, 40, 45, 50, 55, 60])
def test_a_secret_is_masked_before_a_text_is_cut(most):
    text = f"{'x' * 30} https://me:hunter2secretive@host/"
    assert "hunt" not in shortened(text, most)
    assert "hunt" not in shortened(f"{'x' * 30} password='hunter2' and so on", most)


def test_control_characters_become_symbols():
    assert visible("a\x00b\x1b\x7f\x85c\nd\t") == "a␀b␛␡\ufffdc\nd\t"


def test_thumbnails_are_small_and_what_is_no_image_has_none():
    made = picture()
    assert (made.width, made.height) == (700, 300)
    with Image.open(io.BytesIO(made.jpeg)) as small:
        assert small.size == (320, 137)
        assert small.format == "JPEG"
    assert thumbnail(b"no image") is None
    assert thumbnail(b"") is None
    assert thumbnail(None) is None


def test_the_size_of_an_image_is_that_of_the_image_turned_upright():
    held, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (900, 400)).save(held, "JPEG", exif=exif)
    made = thumbnail(held.getvalue())
    assert (made.width, made.height, made.n_bytes) == (400, 900, len(held.getvalue()))
    with Image.open(io.BytesIO(made.jpeg)) as small:
        assert small.width < small.height
