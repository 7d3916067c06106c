from pathlib import Path

import pytest
import yaml

from semdedup_spark.config import JobConfig, load_config, parse_config
from semdedup_spark.errors import ConfigError
from semdedup_spark.presets import PRESETS

TEXT = {"kind": "text", "format": "jsonl", "path": "x.jsonl", "id": "doc", "content": "text"}
VARIABLE = {"kind": "text", "table": "a.`${env:HOME}`", "id": "i", "content": "t"}
DELTA = {**TEXT, "format": "delta"}
CLONE = {"write": "clone"}
IMAGES = {"kind": "images", "format": "files", "path": "photos/"}
CLIP = {"encoder": "open-clip", "model": "ViT-B-16:/models/vit_b_16.safetensors"}
ROOT = Path(__file__).parents[1]


def job(**changes):
    return {"output": "out", "source": TEXT, **changes}


def test_base_yml_states_every_key_with_its_default():
    base = yaml.safe_load((ROOT / "conf" / "base.yml").read_text())
    defaults = parse_config(job()).model_dump()
    assert base.keys() == defaults.keys()
    for stage in ("embed", "cluster", "score", "select", "prune"):
        assert base[stage] == defaults[stage]
    assert base["source"].keys() == defaults["source"].keys()


@pytest.mark.parametrize("name", ["conf/local.yml", "conf/emr.yml", "deploy/databricks/job.yml"])
def test_the_example_jobs_are_valid(name):
    assert isinstance(load_config(ROOT / name), JobConfig)


@pytest.mark.parametrize(
    ("tree", "words"),
    [
        (job(scroe={}), ["scroe", "did you mean 'score'"]),
        (job(score={"epsmax": 0.1}), ["score.epsmax", "did you mean 'eps_max'"]),
        (job(score={"eps_max": 5}), ["score.eps_max", "less than 1", "5"]),
        (job(select={"eps": 0.4}), ["select.eps", "score.eps_max", "0.4"]),
        (job(select={"eps": 0.1, "keep": 0.5}), ["eps or keep, not both"]),
        (job(select={"name": "My-Set"}), ["select.name", "lower-case", "'My-Set'"]),
        (job(select={"eps": 0}), ["select.eps", "greater than 0", "0"]),
        (job(select=CLONE), ["clone needs a Delta source", "'jsonl'"]),
        (job(select=CLONE, source={**DELTA, "columns": ["doc"]}), ["source.columns null"]),
        (job(select=CLONE, source={**DELTA, "id": "content_hash()"}), ["column of ids"]),
        (job(select=CLONE, source={**DELTA, "id": "${user}"}), ["source.id", "${user}"]),
        (job(cluster={"n_clusters": "many"}), ["cluster.n_clusters", "'many'"]),
        (job(embed={"encoder": "pixels"}), ["embed.encoder", "minilm", "'pixels'"]),
        (job(embed={"encoder": "bert"}), ["embed.encoder", "'minilm'", "'bert'"]),
        (job(embed={"encoder": "torchvision"}), ["needs model", "vgg16:/models/vgg16.pth"]),
        (job(embed={"encoder": "minilm", "tower": "text"}), ["tower", "open-clip", "minilm"]),
        (job(embed={"encoder": "onnx"}), ["needs model", "model.onnx and tokenizer.json"]),
        (job(embed={"encoder": "static", "pooling": "cls"}), ["pooling null", "cls"]),
        (job(embed={"encoder": "static", "device": "cuda"}), ["on the CPU", "cuda"]),
        (job(embed={"prefix": "query: "}), ["hf-text and onnx", "minilm"]),
        (job(embed={**CLIP, "tower": "image"}), ["embed.tower must be text", "'image'"]),
        (job(embed={**CLIP, "long_text": "reject"}), ["long_text truncate", "reject"]),
        (job(source=IMAGES, embed={**CLIP, "tower": "image+text"}), ["embed.tower must be image"]),
        ({"source": TEXT}, ["output must be set"]),
        (job(source={**TEXT, "table": "a.b"}), ["either path", "or table"]),
        (job(source={k: v for k, v in TEXT.items() if k != "id"}), ["id column", "content_hash()"]),
        (job(source={**TEXT, "format": "files"}), ["kind must be images"]),
        (job(source={**TEXT, "format": "npy"}), ["kind must be vectors"]),
        (job(source={**TEXT, "format": "webdataset", "kind": "vectors"}), ["image_text"]),
        (job(source={**TEXT, "kind": "image_text"}), ["must name the text column"]),
        (job(source={**TEXT, "version": 3}), ["version", "Delta"]),
        (job(source=VARIABLE), ["source", "${env:HOME}", "variable of the environment"]),
        (job(score={"rank_by": "`${spark.app.name}` DESC"}), ["score.rank_by", "in a view"]),
        (job(source={**TEXT, "options": {"versionAsOf": "3"}}), ["source.version"]),
        (job(source={**TEXT, "options": {"ignoreCorruptFiles": "true"}}), ["lost unseen"]),
        (job(source={**TEXT, "metadata": "x"}), ["metadata", "npy"]),
        (job(source={**IMAGES, "batch": "night"}), ["batch names a column", "files"]),
        (job(reference={**TEXT, "idd": "x"}), ["reference.idd", "did you mean 'id'"]),
        (job(reference=TEXT, select={"resolution": "cover"}), ["with a reference", "paper"]),
        (job(reference=IMAGES), ["reference.kind must be that of source, text", "'images'"]),
    ],
)
def test_a_wrong_key_or_value_is_one_clear_message(tree, words):
    with pytest.raises(ConfigError) as caught:
        parse_config(tree)
    for word in words:
        assert word in str(caught.value)
    assert caught.value.exit_code == 2


NPY = {"kind": "vectors", "format": "npy", "path": "x.npy"}
REFUSED = [
    ({**TEXT, "dtype": "float32"}, "go with kind vectors"),
    ({**NPY, "dtype": "float16"}, ".npy files know their own"),
    ({**TEXT, "columns": ["a", "a"]}, "each once"),
    ({**TEXT, "columns": []}, "at least one column"),
    ({**TEXT, "format": "parquet", "types": "a int"}, "types goes with format jsonl or csv"),
    ({**TEXT, "options": {"Mode": "dropMalformed"}}, "leave it to quarantine"),
    ({**TEXT, "options": {"ignoreCorruptFiles": "true"}}, "lost unseen"),
    ({**TEXT, "options": {"timestampAsOf": "2024-01-01"}}, "set source.version"),
    ({**TEXT, "format": None}, "path needs format"),
    ({**TEXT, "path": None, "table": "a.b"}, "format goes with path"),
    ({**TEXT, "metadata": "m.parquet"}, "metadata lies beside format npy"),
    ({**IMAGES, "batch": "night"}, "batch names a column"),
    ({**TEXT, "text": "caption"}, "kind image_text"),
    ({**IMAGES, "id": "name"}, "the path is the id"),
    ({**NPY, "content": "v"}, "needs no content"),
    ({**NPY, "id": "name"}, "comes with metadata"),
]


@pytest.mark.parametrize(("source", "words"), REFUSED, ids=[words for _, words in REFUSED])
def test_what_does_not_go_together_in_a_source_is_one_clear_message(source, words):
    with pytest.raises(ConfigError) as raised:
        parse_config(job(source=source))
    assert words in str(raised.value)


@pytest.mark.parametrize("value", [True, False, "1_0", "nan", " 0.5", "inf", "0x1", "\u0661"])
@pytest.mark.parametrize(
    ("stage", "key"),
    [
        ("select", "eps"),
        ("select", "keep"),
        ("select", "max_removed_fraction"),
        ("cluster", "tolerance"),
        ("score", "eps_max"),
        ("embed", "decode_seconds"),
        ("embed", "commit_seconds"),
        ("embed", "gpu_memory_fraction"),
        ("prune", "ratio"),
    ],
)
def test_what_is_no_decimal_number_is_refused_and_not_converted(stage, key, value):
    with pytest.raises(ConfigError, match=f"{stage}.{key} must be a.* number .*Got {value!r}"):
        parse_config(job(**{stage: {key: value}}))


@pytest.mark.parametrize("value", [True, "1_0"])
def test_a_limit_of_one_value_is_a_number_too(value):
    with pytest.raises(ConfigError, match=r"max_removed_fraction_by\.a must be a number"):
        parse_config(job(select={"max_removed_fraction_by": {"a": value}}))


@pytest.mark.parametrize("key", ["decode_seconds", "commit_seconds"])
@pytest.mark.parametrize("value", [float("inf"), float("nan"), "1e400"])
def test_a_time_without_end_is_refused(key, value):
    with pytest.raises(ConfigError, match=f"{key} must be a number greater than 0 and at most 1,0"):
        parse_config(job(embed={key: value}))


def test_a_number_may_be_text_as_yaml_reads_it():
    select = {"eps": ".5e-1", "max_removed_fraction": "1.", "max_removed_fraction_by": {"a": "+1"}}
    config = parse_config(job(select=select, cluster={"tolerance": "1e-3"}))
    assert (config.select.eps, config.select.max_removed_fraction) == (0.05, 1.0)
    assert config.select.max_removed_fraction_by == {"a": 1.0}
    assert config.cluster.tolerance == 0.001


@pytest.mark.parametrize("value", [True, False])
def test_a_truth_value_is_no_number_of_levels(value):
    with pytest.raises(ConfigError, match=f"levels must be 1, 2 or 'auto'. Got {value}"):
        parse_config(job(cluster={"levels": value}))
    assert parse_config(job(cluster={"levels": 1})).cluster.levels == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "select: {max_removed_fraction_by: {2024: 0.5}}",
            [
                "each key of select.max_removed_fraction_by must be text",
                "Got the key 2024",
                '"2024"',
            ],
        ),
        ("select: {max_removed_fraction_by: {1: .5}}", ["Got the key 1, a whole number", '"1"']),
        ("select: {max_removed_fraction_by: {on: .5}}", ["Got the key True", "YAML reads", '"on"']),
        ("1: x", ["each key of the configuration must be text", "Got the key 1", '"1"']),
        ("embed: {2031-07-09: x}", ["each key of embed must be text", '"2031-07-09"']),
        ("select: {must_agree: [{2: x}]}", ["each key of select.must_agree.0 must be text"]),
    ],
)
def test_a_key_that_yaml_does_not_read_as_text_is_named_with_the_way_to_quote_it(text, words):
    with pytest.raises(ConfigError) as caught:
        parse_config(job() | yaml.safe_load(text))
    for word in words:
        assert word in str(caught.value)
    assert "at most 1" not in str(caught.value)


def test_keep_goes_with_the_paper_s_resolution_alone():
    with pytest.raises(ConfigError, match="resolution paper"):
        parse_config(job(select={"keep": 0.5, "resolution": "cover"}))


def must_agree(*asked):
    return parse_config(job(select={"must_agree": list(asked)})).select.must_agree


def test_one_preset_is_a_list_of_one_and_may_go_with_columns_and_patterns():
    (one,) = must_agree({"column": "text", "preset": "numbers"})
    assert [one] == must_agree({"column": "text", "preset": ["numbers"]})
    pattern = {"column": "text", "pattern": "a+"}
    both = {"column": "text", "preset": ["numbers", "dates"]}
    assert [a.preset for a in must_agree("lang", pattern, both)] == [None, None, both["preset"]]
    assert parse_config(job(select={"must_agree": [one.model_dump()]})).select.must_agree == [one]


@pytest.mark.parametrize("preset", ["numbrs", ["dates", "x"], [], ["dates", "dates"], 3, [["x"]]])
def test_a_wrong_preset_is_answered_with_all_there_are(preset):
    with pytest.raises(
        ConfigError, match=r"select\.must_agree\.0\.preset: must be one of"
    ) as raised:
        must_agree({"column": "text", "preset": preset})
    assert all(name in str(raised.value) for name in [*PRESETS, f"Got {preset!r}"])


def test_an_agreement_is_by_pattern_or_by_preset():
    with pytest.raises(ConfigError, match="pattern or preset, not both"):
        must_agree({"column": "text", "preset": "dates", "pattern": "a"})


def test_every_wrong_key_is_named_at_once():
    with pytest.raises(ConfigError) as caught:
        parse_config(job(score={"a": 1}, cluster={"b": 2}))
    assert "score.a" in str(caught.value)
    assert "cluster.b" in str(caught.value)


def test_overrides_are_yaml_and_the_later_selection_rule_wins(tmp_path):
    path = tmp_path / "job.yml"
    path.write_text(yaml.safe_dump(job(select={"eps": 0.1})))
    config = load_config(
        path, ["select.keep=0.5", "cluster.n_clusters=7", "cluster.tolerance=1e-3"]
    )
    assert (config.select.eps, config.select.keep) == (None, 0.5)
    assert config.cluster.n_clusters == 7
    assert config.cluster.tolerance == 1e-3


@pytest.mark.parametrize("override", ["select.eps", "=3", "output.x=1"])
def test_a_malformed_override_is_refused(tmp_path, override):
    path = tmp_path / "job.yml"
    path.write_text(yaml.safe_dump(job()))
    with pytest.raises(ConfigError, match="--set"):
        load_config(path, [override])


def test_a_missing_file_and_bad_yaml_are_config_errors(tmp_path):
    with pytest.raises(ConfigError, match="readable YAML"):
        load_config(tmp_path / "none.yml")
    (tmp_path / "bad.yml").write_text("a: [")
    with pytest.raises(ConfigError, match="valid YAML"):
        load_config(tmp_path / "bad.yml")


def test_settings_that_change_no_result_are_no_part_of_the_identity():
    assert (
        parse_config(job(embed={"batch_size": 7})).embed.identity()
        == parse_config(job()).embed.identity()
    )
    assert (
        parse_config(job(embed={"max_length": 64})).embed.identity()
        != parse_config(job()).embed.identity()
    )
