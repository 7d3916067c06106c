"""Java that a command starts may be kept from printing, and only Java."""

import subprocess

from semdedup_spark.session.java import java_without_output


def test_a_program_started_without_output_prints_nothing_and_later_ones_do(capfd):
    print("before")
    with java_without_output():
        started = subprocess.Popen(
            ["sh", "-c", "read _; echo Deleted 3 files; echo why >&2"], stdin=subprocess.PIPE
        )
    started.communicate(b"\n")  # it prints only now, as a Java does that goes on
    subprocess.run(["echo", "after"], check=True)
    seen = capfd.readouterr()
    assert seen.out == "before\nafter\n"
    assert seen.err == "why\n"
