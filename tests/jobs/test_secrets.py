"""No secret of the configuration is in the output, and an exchanged one changes nothing."""

from __future__ import annotations

import dataclasses
import json
from datetime import datetime, timezone

import pytest

from semdedup_spark import open_job, parse_config, run_job
from semdedup_spark.config import canonical_json, plain_settings
from semdedup_spark.errors import SourceError, StageOrderError
from semdedup_spark.pipeline.identity import result_key
from semdedup_spark.pipeline.operations.status import read_status, summary_dict
from semdedup_spark.pipeline.queries.report_data import run_overview
from semdedup_spark.pipeline.stage_runner import require_stage, run_stage
from semdedup_spark.pipeline.stages.embed.embed import embed_settings
from semdedup_spark.report.html import render_report
from semdedup_spark.tables.runs import StageRecord
from tests.jobs.jobfiles import near_duplicates, write_jsonl

SECRETS = {
    "fs.s3a.secret.key": "TOPSECRET",
    "my.own.option": "OWNSECRET",
    "header": "x",
    "fs.azure.sas.c.a.blob.core.windows.net": "sv=1&sig=SASSECRET",
}
WORDS = ("TOPSECRET", "OWNSECRET", "SASSECRET")


def job(spark, lake, *, name="a.jsonl", options=SECRETS, **changes):
    source = {
        "kind": "vectors",
        "format": "jsonl",
        "path": f"{lake}/{name}",
        "id": "doc",
        "content": "v",
        "types": "doc string, v array<double>",
        "options": options,
    }
    tree = {
        "output": f"{lake}/out",
        "source": source,
        "embed": {"encoder": "none"},
        "cluster": {"n_clusters": 1},
        **changes,
    }
    return open_job(spark, parse_config(tree))


@pytest.fixture(scope="module")
def lake(spark, tmp_path_factory):
    lake = tmp_path_factory.mktemp("secrets")
    rows = near_duplicates(24, 6).tolist()
    write_jsonl(lake / "a.jsonl", [{"doc": f"d{i}", "v": v} for i, v in enumerate(rows)])
    run_job(job(spark, lake))
    return lake


def holds_secret(text):
    return [word for word in WORDS if word in text]


def test_no_file_of_the_output_holds_a_secret(spark, lake):
    rows = spark.read.format("delta").load(f"{lake}/out/runs").collect()
    assert not holds_secret(str(rows))
    assert "my.own.option" in rows[0]["config"] + rows[-1]["config"]
    logs = list((lake / "out").rglob("_delta_log/*.json"))
    assert logs
    assert not any(holds_secret(path.read_text()) for path in logs)


def test_neither_report_nor_status_nor_summary_holds_a_secret(spark, lake):
    page = render_report(run_overview(job(spark, lake)))
    assert not holds_secret(page)
    assert "my.own.option" in page
    asked = job(spark, lake)
    told = [summary_dict(asked, run_job(asked)), read_status(asked).as_dict()]
    assert not holds_secret(json.dumps(told))


def test_an_error_of_the_source_holds_no_secret(spark, lake):
    with pytest.raises(SourceError, match="must be readable") as caught:
        run_job(job(spark, lake, name="gone.jsonl"))
    assert not holds_secret(str(caught.value))


def test_an_exchanged_credential_leaves_every_stage_reused_and_another_option_says_so(spark, lake):
    rotated = {**SECRETS, "fs.s3a.secret.key": "TOPSECRET-2"}
    assert all(record.reused for record in run_job(job(spark, lake, options=rotated)).records)
    asked = job(spark, lake, options={**SECRETS, "my.own.option": "OWNSECRET-2"})
    embed = dataclasses.replace(asked, dry_run=True)
    settings = embed_settings(asked.config)
    inputs = asked.ledger.last("embed").inputs
    record = run_stage(embed, "embed", settings, inputs, pytest.fail)
    assert not record.reused
    assert "a setting that is not shown changed" in record.why
    with pytest.raises(StageOrderError, match="sample") as caught:
        require_stage(
            asked,
            "cluster",
            {**plain_settings(asked.config.cluster.identity()), "sample_per_cluster": 1},
        )
    assert not holds_secret(str(caught.value))


@pytest.mark.long
def test_what_an_earlier_release_made_and_wrote_down_with_its_secrets_is_reused_and_masked(
    spark, tmp_path
):
    asked = job(spark, tmp_path)
    settings = plain_settings(embed_settings(asked.config))
    inputs = {"source": "files:1:2:3"}
    config = canonical_json(settings)
    assert holds_secret(config)
    asked.ledger.add(
        StageRecord(
            run_id="old",
            stage="embed",
            started_at=datetime(2026, 1, 1, tzinfo=timezone.utc),
            seconds=1.0,
            reused=False,
            why="it has not run here before",
            config=config,
            config_hash="",
            result_key=result_key(settings, inputs),
            inputs=inputs,
        )
    )
    asked.ledger.flush()
    record = run_stage(job(spark, tmp_path), "embed", settings, inputs, pytest.fail)
    assert record.reused
    assert not holds_secret(record.config)
    assert require_stage(job(spark, tmp_path), "embed", settings).run_id == "old"
    changed = {**settings, "source": {**settings["source"], "path": "other"}}
    with pytest.raises(StageOrderError, match=r"source\.path") as caught:
        require_stage(job(spark, tmp_path), "embed", changed)
    assert not holds_secret(str(caught.value))
