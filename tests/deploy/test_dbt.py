"""The sources of dbt are the tables of an output, and an exposure names some that there are."""

import re

import yaml

from semdedup_spark import schema
from semdedup_spark.schema.comments import COMMENTS
from tests.deploy.bundles import ROOT

MODELS = ROOT / "deploy" / "dbt" / "models"


def read(name):
    return yaml.safe_load((MODELS / f"semdedup_{name}.yml").read_text(encoding="utf-8"))[name]


def test_every_table_is_a_source_and_every_column_has_the_comment_that_its_table_carries():
    (source,) = read("sources")
    found = {
        table["name"]: {column["name"]: column["description"] for column in table["columns"]}
        for table in source["tables"]
        if "columns" in table
    }
    assert found == COMMENTS
    others = {table["name"] for table in source["tables"]} - {*found}
    assert others == {schema.DEDUPLICATED, schema.PRUNED}  # of the source's own columns
    assert all(table["description"] for table in source["tables"])


def test_an_exposure_depends_on_sources_that_there_are():
    (source,) = read("sources")
    there = {(source["name"], table["name"]) for table in source["tables"]}
    for exposure in read("exposures"):
        named = [re.findall(r"'(\w+)'", each) for each in exposure["depends_on"]]
        assert named
        assert {tuple(names) for names in named} <= there
