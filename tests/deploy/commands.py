"""Whether the words that a deployment file passes on are a command that would start."""

import re

from semdedup_spark.cli import cli
from semdedup_spark.config import load_config

# What a platform or a scheduler puts in at run time: {{job.run_id}}, ${var.catalog}.
_LATER = re.compile(r"\{\{[^{}]+\}\}|\$\{[^{}]+\}")


def parsed(words):
    """Let click take the words as `semdedup` does, without running anything."""
    group = cli.make_context("semdedup", [words[0]])
    command = cli.commands[words[0]]
    return command.make_context(words[0], list(words[1:]), parent=group)


def wrong_words(words, job_file):
    """Why `semdedup` would refuse these words, or the job file with their settings; else None."""
    given = [_LATER.sub("0.01" if "eps" in word else "a.b", word) for word in words]
    try:
        found = parsed(given)
        load_config(job_file, found.params.get("overrides", ()))
    except KeyError as error:
        return f"no such command: {error}"
    except Exception as error:
        return getattr(error, "message", None) or str(error)
    return None
