"""The page on which people judge removals: what it shows stays text, what it saves is exact."""

import base64
import hashlib
import json
import re
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from semdedup_spark.answers.audit import Removal, Verdict
from semdedup_spark.answers.overview import MOST_CHARACTERS, Shown
from semdedup_spark.report.review_page import render_review
from semdedup_spark.visible import shown
from tests.queries import test_report_page
from tests.queries.test_report_page import HOSTILE, picture

NOON = datetime(2026, 1, 2, 12, tzinfo=timezone.utc)
# What a page cannot hold as it is, inside of a script.
HARD_IDS = ["</script><!--<script>", "\u2028\u2029", '"\n,', "=1+1", "\x00\x1b", "\ud800", "😀", ""]


class Page(test_report_page.Page):
    """A page that has a field to write in: the report has none."""

    def handle_starttag(self, tag, attributes):
        super().handle_starttag(tag, attributes)
        if tag == "input":
            self.open.pop()


def removal(row_id="a", survivor_id="b", **changes):
    row = Shown(row_id, "a red fox", 0.96, columns=(("site", "x"), ("year", "1999")))
    survivor = Shown(survivor_id, "a brown fox", 1.0, columns=(("site", "x"), ("year", "2001")))
    return replace(Removal(row, survivor, survivor_id, 0.96, 0.96, "near the threshold"), **changes)


def rendered(*removals, known=(), output="out", title="Audit"):
    return render_review(removals, known=known, title=title, eps=0.05, output=output)


def texts_of(html, tag):
    return re.findall(rf"<{tag}[^>]*>(.*?)</{tag}>", html, re.DOTALL)


def data_of(html):
    return json.loads(raw_data(html))


def raw_data(html):
    return re.search(r'<script type="application/json" id="data">(.*?)</script>', html)[1]


def without_data(html):
    return html.replace(raw_data(html), "")


def marks(html):
    return texts_of(html, "mark")


@pytest.mark.parametrize("words", HOSTILE, ids=range(len(HOSTILE)))
def test_what_comes_from_the_source_stays_text(words):
    row = Shown(words, words, 0.96, columns=((words, words),))
    hostile = Removal(row, replace(row, text="other"), words, 0.96, 0.96, words)
    plain = Shown("w", "w w", 0.96, columns=(("w", "w"),))
    harmless = Removal(plain, replace(plain, text="other"), "w", 0.96, 0.96, "w")
    page = Page(rendered(hostile, title=words, output=words))
    assert page.open == []
    varying = ("mark", "tr", "th", "td", "details", "summary", "div", "bdi")
    tags = [tag for tag, _ in page.tags if tag not in varying]
    assert tags == [tag for tag, _ in Page(rendered(harmless)).tags if tag not in varying]
    assert shown(words)[:50] in page.text
    for _, attributes in page.tags:
        assert not [name for name in attributes if name.startswith("on") or name == "style"]


@given(st.lists(st.tuples(st.text(max_size=12), st.text(max_size=12)), max_size=4))
def test_the_page_holds_every_id_exactly(pairs):
    html = rendered(*(removal(*pair) for pair in pairs))
    assert data_of(html)["pairs"] == [list(pair) for pair in pairs]
    assert not set(raw_data(html)) & set("<>&\u2028\u2029")
    html.encode()  # nothing is left that UTF-8 cannot write


@pytest.mark.parametrize("row_id", HARD_IDS, ids=range(len(HARD_IDS)))
def test_ids_are_shown_with_symbols_and_kept_without(row_id):
    html = rendered(removal(row_id, "kept"), known=[Verdict(row_id, "kept", "not", row_id, NOON)])
    assert data_of(html)["pairs"] == [[row_id, "kept"]]
    assert data_of(html)["known"][0][:2] == ["not", row_id]
    page = Page(html)
    assert page.open == []
    assert not set(page.text) & set("\x00\x1b\u2028\u2029\ud800")


def test_the_policy_allows_this_script_and_this_style_alone():
    html = rendered(removal())
    policy = next(
        attributes["content"]
        for _, attributes in Page(html).tags
        if attributes.get("http-equiv") == "Content-Security-Policy"
    )
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))

    def hashes(tag):
        told = (text for text in texts_of(html, tag) if not text.startswith("{"))  # not the data
        digests = (hashlib.sha256(text.encode()).digest() for text in told)
        return " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)

    assert rules == {
        "default-src": "'none'",
        "img-src": "data:",
        "style-src": hashes("style"),
        "script-src": hashes("script"),
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    assert (hashes("style").count("sha256"), hashes("script").count("sha256")) == (2, 1)


def test_the_page_asks_for_nothing_outside_of_itself():
    image = Shown("a", "", 0.96, picture())
    html = rendered(removal(row=image, survivor=image))
    for tag, attributes in Page(html).tags:
        assert not {"href", "srcset", "action", "data", "poster"} & set(attributes), tag
        assert attributes.get("src", "data:image/jpeg;base64,").startswith("data:image/jpeg;base64")
    assert not re.search(r"https?:|url\(|@import|fetch\(|XMLHttp|WebSocket|sendBeacon", html)


def test_one_removal_is_shown_at_a_time_and_without_scripts_all():
    html = rendered(*(removal(str(i)) for i in range(3)))
    articles = [attributes for tag, attributes in Page(html).tags if tag == "article"]
    assert articles == [{"class": "now"}, {}, {}]
    assert "article { display: none;" in html
    assert re.search(r"<noscript><style>article { display: block; }", html)


def test_words_and_columns_that_differ_are_marked():
    assert marks(rendered(removal())) == ["red", "brown", "1999", "2001"]
    one = replace(removal().row, text="", columns=(("only here", "x"),))
    other = replace(removal().survivor, text="", columns=())
    assert marks(rendered(removal(row=one, survivor=other))) == ["x"]


def test_texts_that_do_not_differ_are_said_to_be_the_same():
    def told(text):
        row = Shown("a", text, 1.0)
        return Page(rendered(removal(row=row, survivor=replace(row, id="b")))).text

    assert "The same text." in told("one text")
    assert "The first 4,000 characters are the same." in told("x" * MOST_CHARACTERS)
    assert not re.search("The same text|are the same", told(""))
    assert "The same text." not in Page(rendered(removal())).text


def test_a_long_text_can_be_read_whole():
    long = "many words " * 60
    row, survivor = Shown("a", long + "here", 0.9), Shown("b", long + "there", 1.0)
    page = Page(rendered(removal(row=row, survivor=survivor)))
    assert long + "here" in page.text
    assert long + "there" in page.text
    assert "details" not in {tag for tag, _ in Page(rendered(removal())).tags}


def test_the_similarities_and_the_stratum_are_told():
    text = " ".join(Page(rendered(removal())).text.split())
    assert "similarity to the kept row 0.9600, because of which it was removed" in text
    assert "drawn from near the threshold" in text
    other = removal(neighbor_id="/files/c.txt", similarity=0.975, survivor_similarity=0.91)
    text = " ".join(Page(rendered(other)).text.split())
    assert "similarity to the kept row 0.9100 removed because of c.txt, similarity 0.9750" in text


def test_pictures_are_shown_with_their_measures_and_one_that_is_gone_is_named():
    row = Shown("/photos/a.jpg", "", 0.96, picture())
    page = Page(rendered(removal(row=row, survivor=Shown("/photos/b.jpg", "", 1.0))))
    assert [attributes["alt"] for tag, attributes in page.tags if tag == "img"] == [
        "picture of the removed row"
    ]
    assert "700 x 300 pixels" in page.text
    assert "no longer readable" in page.text
    assert "no longer readable" not in Page(rendered(removal())).text


def test_known_verdicts_are_shown_the_newest_of_each_pair():
    known = [
        Verdict(2, 7, "not", "new", NOON.astimezone(timezone(timedelta(hours=-9)))),
        Verdict("2", "7", "duplicate", "old", NOON - timedelta(seconds=1)),
        Verdict("2", "another survivor", "skip", "later", NOON + timedelta(days=1)),
        Verdict("1", "7", "skip", "naive", NOON.replace(tzinfo=None)),
    ]
    html = rendered(removal("1", "7"), removal("2", "7"), removal("3", "7"), known=known)
    assert data_of(html)["known"] == [
        ["skip", "naive", "2026-01-02T12:00:00.000000Z"],
        ["not", "new", "2026-01-02T12:00:00.000000Z"],
        None,
    ]


def test_the_same_pairs_of_an_output_are_kept_under_the_same_name():
    one, two = removal("1"), removal("2")
    name = data_of(rendered(one, two))["page"]
    known = [Verdict("1", "b", "not", "", NOON)]
    assert data_of(rendered(two, one, known=known, title="Again"))["page"] == name
    others = [rendered(one), rendered(one, two, output="other"), rendered(one, removal("2", "c"))]
    assert name not in [data_of(html)["page"] for html in others]
    assert rendered(one, two) == rendered(one, two)


def test_a_secret_is_not_shown_but_the_saved_id_is_true():
    address = "https://me:hunter2secret@host/x?sig=abcdefghijkl"
    row = Shown(address, f"see {address}", 0.96, columns=(("url", address),))
    html = rendered(removal(row=row, neighbor_id=address), title=address, output=address)
    assert "hunter2secret" not in without_data(html)
    assert "abcdefghijkl" not in without_data(html)
    assert data_of(html)["pairs"][0][0] == address


def test_every_key_has_a_button_and_the_help_names_it():
    page = Page(rendered(removal()))
    keyed = [(tag, a["data-key"], a["type"]) for tag, a in page.tags if "data-key" in a]
    assert {(tag, kind) for tag, _, kind in keyed} == {("button", "button")}
    assert {key for _, key, _ in keyed} == {"d", "n", "s", "j", "k", "o", "u", "?", "save"}
    told = texts_of(texts_of(rendered(removal()), "dialog")[0], "kbd")
    assert set(told) == {"d", "n", "s", "j", "k", "o", "u", "?", "←", "→"}


def test_progress_and_what_was_done_are_read_out():
    attributes = {a["id"]: a for _, a in Page(rendered(removal())).tags if "id" in a}
    assert attributes["progress"]["aria-live"] == "polite"
    assert attributes["told"]["role"] == "status"
    assert attributes["bar"]["aria-label"]


def test_a_page_without_removals_says_so():
    page = Page(rendered())
    assert page.open == []
    assert "There is nothing to judge" in page.text
    assert data_of(rendered())["pairs"] == []


def test_the_page_follows_dark_mode_and_paper_and_the_script_stays_short():
    html = rendered(removal())
    assert "@media screen and (prefers-color-scheme: dark)" in html
    assert "@media print" in html
    script = files("semdedup_spark.report").joinpath("templates/review.js").read_text("utf-8")
    assert len(script.splitlines()) < 200
    assert script in html
