"""Texts of others do not steer a terminal, and nothing in them is markup or an emoji."""

import io
import json
import logging
from dataclasses import replace
from datetime import datetime, timezone

import pytest
from click.testing import CliRunner
from rich.console import Console

from semdedup_spark.answers.explanation import (
    Absorbed,
    Explanation,
    Link,
    Rejection,
    Standing,
)
from semdedup_spark.answers.overview import Example
from semdedup_spark.answers.sql import Answer
from semdedup_spark.answers.tuning import SourceShare, Threshold, Tuning
from semdedup_spark.cli import cli
from semdedup_spark.errors import SourceError
from semdedup_spark.failures import explained
from semdedup_spark.in_memory.explanation import Explained
from semdedup_spark.in_memory.explanation import Link as Step
from semdedup_spark.pipeline import Progress
from semdedup_spark.pipeline.operations.diff import Change
from semdedup_spark.pipeline.operations.status import RunLine, Status
from semdedup_spark.report.console import (
    console_listener,
    print_examples,
    print_next,
    print_summary,
)
from semdedup_spark.report.logs import JsonLines
from semdedup_spark.report.operations import print_changes, print_status, print_tidied
from semdedup_spark.report.tables import print_answer, print_explanation, print_tuning
from semdedup_spark.report.terminal import as_json, say
from semdedup_spark.tables.lease_notes import Holder
from semdedup_spark.tables.leases import Claim
from semdedup_spark.tables.maintenance import Tidied
from semdedup_spark.tables.runs import StageRecord
from semdedup_spark.visible import inline, shown, visible

NASTY = "a\x1b]0;title\x1b\\\x07\x9b2J\x7f\u202eb\u200bc\u2028d[bold]e[/bold]:book:f"
NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)
RECORD = StageRecord(NASTY, NASTY, NOW, 1.0, False, NASTY, "{}", "", "", counts={NASTY: 1})
STANDING = Standing(1, 2, 1, 0, NASTY, 0.5, 0.9, NASTY, True, 0.1, 0.3)
SHOWN = inline(NASTY)


def printed(show):
    out = io.StringIO()
    show(Console(file=out, width=300))
    return out.getvalue()


def assert_harmless(text):
    assert not set(text) & set("\x1b\x07\x9b\x7f\u202e\u200b\u2028")
    assert "[bold]e[/bold]:book:f" in text
    assert "\U0001f4d6" not in text


TUNING = Tuning(
    *(9, 1, 0.3, NASTY, 0.05),
    thresholds=[Threshold(0.05, 0.5, 4, 0.5)],
    targets=[],
    curve=[],
    histogram=[],
    by=NASTY,
    sources=[SourceShare(NASTY, 9, [0.5])],
)
REMOVED = Explanation(
    NASTY,
    "removed",
    selection=NASTY,
    eps=0.05,
    standing=STANDING,
    chain=[Link(NASTY, NASTY, 0.9)],
    chain_complete=False,
    reason=NASTY,
    protected_from=NASTY,
    in_review_for=NASTY,
    decision=NASTY,
    survivor_id=NASTY,
    survivor_similarity=0.8,
    covered=False,
    rejections=[Rejection(NASTY, NASTY, NASTY)],
    contents={NASTY: NASTY},
)
KEPT = Explanation(
    NASTY, "kept", standing=STANDING, n_absorbed=2, absorbed=[Absorbed(NASTY, 0.9, 0.9)]
)
HOLDER = Claim(NASTY, NASTY, Holder(NASTY, NASTY, 1), 1, NOW, False, 9.0)


@pytest.mark.parametrize(
    "show",
    [
        lambda c: print_explanation(c, REMOVED),
        lambda c: print_explanation(c, KEPT),
        lambda c: print_tuning(c, TUNING),
        lambda c: print_examples(c, NASTY, [Example(NASTY, NASTY, NASTY, NASTY, 0.9)]),
        lambda c: print_examples(
            c, "t", [Example("a", NASTY, "b", "x", 0.9, NASTY, 0.8, covered=False)]
        ),
        lambda c: print_changes(c, [Change("kept", "removed", NASTY, 1, (NASTY, NASTY))]),
        lambda c: print_status(
            c,
            Status(
                NASTY, (RECORD,), (RunLine(NASTY, NOW, 1.0, (NASTY,), (NASTY,), NASTY),), HOLDER
            ),
        ),
        lambda c: print_tidied(c, [Tidied(NASTY, 1, 1, 1)]),
        lambda c: print_answer(c, Answer((NASTY,), (True,), ((NASTY,), (None,)), (NASTY,), False)),
        lambda c: print_next(c, {NASTY: NASTY}, [NASTY]),
        lambda c: print_summary(
            c,
            counts=dict.fromkeys(("read", "kept", "removed", "quarantined"), 1),
            eps=0.1,
            curve=[(0.1, 0.5)],
            reasons=[(NASTY, 1)],
        ),
    ],
)
def test_no_printer_lets_a_text_steer_the_terminal(show):
    assert_harmless(printed(show))


SECRET = "https://someuser:hunter2hunter2@host"


@pytest.mark.parametrize("before", range(60, 80))
def test_a_text_is_masked_before_it_is_cut(before):
    text = f"{'x' * before} {SECRET}"
    answer = Answer(("a",), (False,), ((text,),), (text,), False)
    content = f"{'y' * 110} {text}"  # explain shows more of a text
    told = Explanation("a", "kept", contents={"a": content})
    standing = replace(STANDING, rank_key=text[30:])
    for show in (
        lambda c: print_answer(c, answer),
        lambda c: print_explanation(c, told),
        lambda c: print_explanation(c, Explanation("a", "kept", standing=standing)),
    ):
        assert "hunt" not in printed(show)


def test_lines_of_an_example_are_masked_before_some_are_left_out():
    text = 'one\ntwo\nthree\n"password": "hunter2\nhunter3"'
    shown = printed(lambda c: print_examples(c, "t", [Example("a", text, "b", text, 0.9)]))
    assert "hunter" not in shown
    assert "***" in shown


def test_an_explanation_that_is_printed_does_not_steer_the_terminal_and_shows_no_secret():
    for nasty in (NASTY, SECRET):
        told = Explained(nasty, "removed", nasty, (Step(nasty, nasty, 0.9),), (nasty,), nasty)
        assert str(told) == (
            f"{inline(nasty)}: removed ({inline(nasty)})\n"
            f"  {inline(nasty)} is 0.9000 similar to {inline(nasty)}\n"
            f"  stands for {inline(nasty)}"
        )


def test_progress_and_the_reasons_of_stages_do_not_steer_the_terminal(capsys):
    heard = console_listener()
    heard.started(NASTY, NASTY)
    heard.progress(Progress(NASTY, 1, 2, 1.0))
    heard.finished(RECORD)
    assert_harmless(capsys.readouterr().err)


def test_lines_errors_and_refusals_of_the_command_line_do_not_steer_the_terminal(capsys):
    say(NASTY)
    assert_harmless(capsys.readouterr().out)
    assert_harmless(str(SourceError(NASTY, hint=NASTY)))
    assert_harmless(str(explained(ConnectionError(NASTY))))
    for arguments in (
        [f"--{NASTY}"],
        ["run", f"--{NASTY}"],
        [f"c{NASTY}"],
        ["plan", "--rows", NASTY],
    ):
        result = CliRunner().invoke(cli, arguments)
        assert result.exit_code == 2
        assert not set(result.output) & set("\x1b\x07\x9b\x7f\u202e")


def test_logs_are_lines_of_ascii():
    record = logging.LogRecord("l", logging.INFO, "p", 1, NASTY, None, None)
    record.context = {NASTY: NASTY}
    line = JsonLines().format(record)
    assert line.isascii()
    assert line.isprintable()
    assert json.loads(line)["msg"] == NASTY  # a program reads what was there
    assert as_json([NASTY]).isascii()


def test_ids_that_look_alike_are_told_apart():
    assert visible("\u200bdoc") == "<U+200B>doc"
    assert visible("do\u202ec") == "do<U+202E>c"
    assert inline("a\nb\tc\r") == "a␊b␉c␍"
    assert shown("a\nb\tc\r") == "a\nb\tc␍"


def test_texts_in_any_script_and_emoji_stay_as_they_are():
    for text in (
        "naïve 漢字 \U0001f469\u200d\U0001f469\u200d\U0001f467",
        "\u0645\u06cc\u200c\u062e\u0648",
        "plain",
    ):
        assert visible(text) == text
