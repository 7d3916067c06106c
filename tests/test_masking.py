"""No secret is shown: by the name of its key, by its form, or because it was declared."""

import copy
import json
import shlex

import pytest

from semdedup_spark.cli.results import next_commands
from semdedup_spark.config import canonical_json, load_config, parse_config
from semdedup_spark.config.differences import config_difference
from semdedup_spark.errors import ConfigError, SourceError
from semdedup_spark.frames.spark_result import DeduplicatedFrame
from semdedup_spark.masking import (
    declare,
    declare_settings,
    identifying,
    masked,
    masked_settings,
    masked_tree,
    unmasked,
)
from semdedup_spark.pipeline import Job, JobSummary
from semdedup_spark.pipeline.identity import result_key
from semdedup_spark.report.terminal import as_json
from semdedup_spark.secret_forms import is_secret_name
from semdedup_spark.tables.catalog import OutputRoot
from semdedup_spark.tables.delta_files import RowGroup, TableVersion, open_version
from semdedup_spark.tables.named_table import NamedTable
from semdedup_spark.tables.runs import Ledger

SOURCE = {"kind": "text", "format": "jsonl", "path": "x.jsonl", "id": "doc", "content": "text"}
SECRET = "h/Nter+22=x"


@pytest.mark.parametrize(
    "text",
    [
        f"s3a://KEY:{SECRET}@bucket/path",
        f"https://user:{SECRET}@host/path?x=1",
        f"https://{SECRET.replace('/', '')}@host/path",
        f"jdbc:postgresql://h:5432/db?user=a&password={SECRET}",
        f"jdbc:sqlserver://h:1433;user=a;password={SECRET};encrypt=true",
        f"jdbc:oracle:thin:scott/{SECRET}@//h:1521/x",
        f"https://a.blob.core.windows.net/c?sv=2024&sig={SECRET}",
        f"https://b.s3.amazonaws.com/x?X-Amz-Credential=c&X-Amz-Signature={SECRET}",
        f"DefaultEndpointsProtocol=https;AccountName=a;AccountKey={SECRET};EndpointSuffix=b",
        f"options: {{'fs.s3a.secret.key': '{SECRET}'}}",
        f'{{"fs.azure.account.key.a.dfs.core.windows.net": "{SECRET}"}}',
        f'"{{\\"sasToken\\": \\"{SECRET}\\"}}"',
        f"Map(fs.s3a.session.token -> {SECRET}, x -> 1)",
        f"--set source.options.sfPassword={SECRET}",
        f"Authorization: Bearer {SECRET}",
        f"Authorization: token {SECRET}",
        f"curl -H 'authorization: OwnScheme {SECRET}' x",
        f"Driver=x;PWD={{a;b}}}}c{SECRET}}};Encrypt=yes",
        f"password=ab'cd{SECRET}",
        f"https://user:ab'cd{SECRET}@host/x",
        f"password: 'it''s {SECRET}'",
        f"--set password=pa'\"'\"'ss{SECRET}",
        f'{{""password"": ""{SECRET}"", ""x"": 1}}',
        f'"password": ["a]b", "{SECRET}"]',
        f"tool --password {SECRET} --verbose",
        f"tool --password={SECRET}",
        f'"password": "{SECRET} was cut here',
        f'"password": ["{SECRET} was cut here',
        f"-----BEGIN RSA PRIVATE KEY-----\n{SECRET}\n-----END RSA PRIVATE KEY-----",
    ],
)
def test_what_has_the_form_of_a_secret_is_masked(text):
    bare = SECRET.replace("/", "") if SECRET not in text else SECRET
    shown = masked(text)
    assert bare not in shown
    assert "***" in shown
    assert masked(shown) == shown


@pytest.mark.parametrize(
    "token",
    [
        "glpat-aB3dE6gH9jK2mN5pQ8sT",
        "sk_live_" + "aB3dE6gH9jK2mN5pQ8sT5vW8",
        "npm_aB3dE6gH9jK2mN5pQ8sT5vW8yZ1bC4dE7fG0",
        "ghp_aB3dE6gH9jK2mN5pQ8sT5vW8yZ1bC4dE7fG0",
    ],
)
def test_a_token_of_a_known_form_is_masked_wherever_it_stands(token):
    assert masked(f"it said {token}, twice: x{token[-1]}") == f"it said ***, twice: x{token[-1]}"


@pytest.mark.parametrize(
    "text",
    [
        "abfss://container@account.dfs.core.windows.net/x",
        "hdfs://namenode:8020/x@3",
        "http://host:8080/a@b",
        "main.dedup.centroids@3",
        "embed: 1,400 of 8,000 rows, eps 0.05 -> 0.1; max_tokens: 5, tokenizer: x, tokens=3",
        "source.options.header=true, fs.azure.account.auth.type=SAS",
        "delta.`/lake/out/scores`",
        'npm_config_registry, sk_live_stream, password=\'\', "token": "", pwd={}',
        "set --password, or --token",
        "'http://a:8080','b@c' and {'http://a:8080': 'b@c'}",
    ],
)
def test_what_is_no_secret_stays(text):
    assert masked(text) == text


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("fs.s3a.secret.key", True),
        ("fs.s3a.access.key", True),
        ("fs.azure.sas.container.account.blob.core.windows.net", True),
        ("fs.azure.account.oauth2.client.secret", True),
        ("AWSAccessKeyId", True),
        ("GOOGLE_APPLICATION_CREDENTIALS", True),
        ("pwd", True),
        ("header", False),
        ("fs.azure.account.auth.type", False),
        ("tokenizer", False),
        ("keyspace", False),
    ],
)
def test_a_secret_is_known_by_the_name_of_its_key(name, secret):
    assert is_secret_name(name) is secret


def test_declared_values_are_masked_wherever_they_occur_and_however_they_are_written():
    declare(['p"q+declared&1', "true", "ab", "wx7y"])
    for text in (
        'p"q+declared&1',
        'p\\"q+declared&1',
        "p%22q%2Bdeclared%261",
        "p&quot;q+declared&amp;1",
    ):
        assert masked(f"xx{text}yy") == "xx***yy"
    assert masked("true ab wx7y wx7yz") == "true ab *** wx7yz"


def test_what_a_configuration_holds_of_secrets_is_declared_also_where_it_is_wrong():
    options = {
        "someCustomKey": "unheard-of-value",
        "header": "headervalue",
        "fs.s3a.secret.key": 77,
    }
    tree = {"source": {"path": "s3a://K:pathsecret/1@b/x", "options": options}, "embed": 5}
    declare_settings(tree)
    text = "Spark says: unheard-of-value, pathsecret/1, headervalue"
    assert masked(text) == "Spark says: ***, ***, headervalue"


def test_what_may_be_a_secret_is_declared_wherever_options_were_put():
    inside = [{"zzz": "in-a-list-1"}, {"header": "headervalue"}, ["in-two-lists-2"]]
    declare_settings({"source": [{"options": inside}], "options": {"a": ["at-the-top-3"]}})
    text = "in-a-list-1 in-two-lists-2 at-the-top-3 headervalue"
    assert masked(text) == "*** *** *** headervalue"


def test_a_declared_value_is_masked_also_in_the_quotes_of_yaml_and_of_a_shell():
    declare(["it's-declared"])
    for text in ("it''s-declared", "it'\"'\"'s-declared"):
        assert masked(f"xx{text}yy") == "xx***yy"


def settings(**source):
    return {"source": {**SOURCE, "options": {}, **source}, "embed": {"model": None}}


def test_an_exchanged_credential_is_the_same_identity_and_another_option_is_not():
    def key(**source):
        return result_key(identifying(settings(**source)), {})

    one = key(options={"fs.s3a.secret.key": "one", "header": "true"}, path="s3a://K:one@b/x")
    assert one == key(options={"fs.s3a.secret.key": "two", "header": "true"}, path="s3a://K:2@b/x")
    assert one != key(options={"header": "false"}, path="s3a://K:one@b/x")
    assert one != key(options={"header": "true", "custom": "x"}, path="s3a://K:one@b/x")
    assert one != key(options={"header": "true"}, path="s3a://K:one@b/y")


def test_settings_without_secrets_keep_their_identity_and_their_text():
    config = parse_config(
        {
            "output": "out",
            "source": {**SOURCE, "options": {"multiLine": "true"}},
            "select": {"must_agree": [{"column": "token", "pattern": "password=(.*)"}], "eps": 0.1},
        }
    )
    tree = json.loads(canonical_json({"source": config.source, "select": config.select}))
    assert identifying(tree) == masked_settings(tree) == tree


def test_recorded_settings_get_back_the_secrets_that_they_have_now_and_nothing_else():
    now = {"centroids": "s3a://K:new@b/x", "seed": 2}
    recorded = masked_settings({"centroids": "s3a://K:old@b/x", "seed": 1})
    assert unmasked(recorded, now) == {"centroids": "s3a://K:new@b/x", "seed": 1}
    elsewhere = masked_settings({"centroids": "s3a://K:old@b/y"})
    assert unmasked(elsewhere, now) == {"centroids": "s3a://***@b/y"}


def test_a_difference_of_secrets_is_not_told_by_their_values():
    old, new = (
        canonical_json(masked_settings(settings(options={"password": p, "odd": p, "sep": p})))
        for p in ("alpha", "beta")
    )
    assert config_difference(old, new) == ["source.options.sep 'alpha' -> 'beta'"]


def test_texts_of_models_and_errors_hold_no_secret():
    given = {"password": "in-options", "odd": "in-odd"}
    tree = {"output": "s3a://K:in-output@b/o", "source": {**SOURCE, "options": given}}
    config = parse_config(tree)
    assert not any(word in repr(config) + str(config.source) for word in ("in-o", "K:"))
    error = SourceError("Got in-options.", hint="not in-odd")
    assert not any(word in f"{error}{error.problem}{error.hint}" for word in given.values())


@pytest.mark.parametrize(
    "options", [{"password": 12345678}, "12345678", ["12345678"], {"a": [12345678]}]
)
def test_a_wrong_configuration_is_refused_without_its_secrets(options):
    with pytest.raises(ConfigError) as caught:
        parse_config({"output": "out", "source": {**SOURCE, "options": options}})
    assert "12345678" not in str(caught.value) + repr(caught.value.__cause__)
    assert "source.options" in str(caught.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"source": [SOURCE, {"options": {"xyz": "plain-1"}}]},
        {"source": [SOURCE, {"options": {"xyz": 765}}]},
        {"source": [[{"Options": {"xyz": "plain-2"}}]]},
        {"embed": [{"a": {"options": {"xyz": "plain-3"}}}]},
        {"output": {"options": {"xyz": ["plain-4"]}}},
        {"cluster": {"seed": ({"options": {"xyz": ("plain-5",)}},)}},
    ],
)
def test_a_value_that_holds_options_is_refused_by_its_type_alone(changes):
    with pytest.raises(ConfigError, match=r"Got \*\*\*, (a list|keys with values)\.") as caught:
        parse_config({"output": "out", "source": SOURCE, **changes})
    assert not any(word in str(caught.value) for word in ("plain", "765", "xyz"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("source:\n  options: {password: hunter1234\n", "expected ',' or '}', but got"),
        ("password: *hunter1234", "found undefined alias, line 1, column 11"),
        ("password: !hunter1234", "a constructor for the tag, line 1"),
        ("password: !a!hunter1234 x", "found undefined tag handle"),
        ("password: &hunter1234 x\nb: &hunter1234'x", "line 2"),
        ("password: !!int hunter1234", "a value that its type does not have"),
        ("password: !!bool hunter1234", "a value that its type does not have"),
        ("when: 2024-13-45", "a date in a month 13"),
        ("a:\n\thunter1234: 1", r"found character '\t' that cannot start any token, line 2"),
    ],
)
def test_a_job_file_that_is_no_yaml_is_refused_without_a_word_of_it(tmp_path, text, words):
    path = tmp_path / "job.yml"
    path.write_text(text)
    with pytest.raises(ConfigError, match="valid YAML") as caught:
        load_config(path)
    assert "hunter1234" not in str(caught.value)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "override",
    [
        "source={options: {zzz: hunter1234",
        "source.options={zzz: hunter1234",
        "source.options.zzz=!hunter1234",
        "source.options.zzz:hunter1234",
        "password='hunter1234",
        "password=!!int hunter1234",
    ],
)
def test_an_override_that_is_no_yaml_is_refused_without_its_secret(tmp_path, override):
    path = tmp_path / "job.yml"
    path.write_text("output: out")
    with pytest.raises(ConfigError, match="--set") as caught:
        load_config(path, [override])
    assert "hunter1234" not in str(caught.value)


@pytest.mark.parametrize(
    "override",
    [
        "source.options.zzz=pa'sshunter1234",
        "password=pa'sshunter1234",
        "source.password='it''s-hunter1234'",
        "source.path=s3a://K:hunter1234@b/x",
        'output="s3a://K:hun\\u0074er1234@b"',
        "source={options: {zzz: hunter1234}}",
    ],
)
def test_a_command_to_try_next_leaves_a_secret_to_be_filled_in(override):
    key = override.partition("=")[0]
    for command in next_commands("a job.yml", [override, "select.eps=0.1"], None):
        assert shlex.split(command)[2:8] == [
            *("--config", "a job.yml", "--set", f"{key}=***", "--set", "select.eps=0.1")
        ]
        assert "er1234" not in masked(command)


def test_no_repr_shows_a_secret_of_a_place():
    place = "s3a://AKEY:top/secret@bucket/x"
    config = parse_config({"output": place, "source": SOURCE})
    root = OutputRoot.parse(place)
    job = Job(None, config, root, "run", Ledger(None, root))
    told = [
        *(root, NamedTable.parse(f"{place}@3"), job),
        DeduplicatedFrame(job, JobSummary(1, 1, 0, 0, 0.1, ())),
        TableVersion(place, 1, ("id",), (RowGroup(f"{place}/a.parquet", 0, 0, 5),)),
        RowGroup(f"{place}/a.parquet", 0, 0, 5),
    ]
    for each in told:
        assert "secret" not in repr(each)
        assert "s3a://***@bucket/x" in repr(each)


def test_an_error_of_a_table_is_masked_before_it_is_cut(monkeypatch):
    deltalake = pytest.importorskip("deltalake")

    def refuse(location, version):
        raise ValueError("x" * 280 + " https://u:hunter1234567890@host")

    monkeypatch.setattr(deltalake, "DeltaTable", refuse)
    with pytest.raises(SourceError, match="must be a Delta table") as caught:
        open_version("s3://b/x")
    assert "hunt" not in str(caught.value)


def test_what_is_printed_as_json_is_masked_and_the_values_given_stay_as_they_were():
    tree = {"password": "x1", "why": ["s3a://k:s3cret@b"], "counts": {"secret_rows": 3}, "n": 1.5}
    before = copy.deepcopy(tree)
    told = json.loads(as_json(tree))
    assert told == {
        "password": "***",
        "why": ["s3a://***@b"],
        "counts": {"secret_rows": 3},
        "n": 1.5,
    }
    assert tree == before
    assert masked_tree(("a", None)) == ["a", None]


def test_all_texts_below_the_name_of_a_secret_are_masked_and_so_is_an_id_that_is_a_key():
    tree = {"password": ["x1", {"a": "x2"}, 3], "contents": {"https://u:x3@h/": "text"}}
    assert masked_tree(tree) == {
        "password": ["***", {"a": "***"}, 3],
        "contents": {"https://***@h/": "text"},
    }
