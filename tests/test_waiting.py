"""While a command waits, what it prints goes where its output goes."""

import os
import pty
import subprocess
import sys

SCRIPT = """
import sys
from semdedup_spark.report.console import show_wait
show_wait("sql: waiting for Spark, \x1b[31mfor good")
print("id,text")
sys.stdout.writelines(["q12,by print or not\\n"])
sys.stdout.flush()
"""


def said_by(stdout):
    """Run the script with a terminal as standard error; what the terminal got."""
    terminal, inside = pty.openpty()
    env = {**os.environ, "TERM": "xterm"}
    out = inside if stdout is None else stdout
    subprocess.run([sys.executable, "-c", SCRIPT], stdout=out, stderr=inside, env=env, check=True)
    os.close(inside)
    said = b""
    while True:
        try:
            part = os.read(terminal, 4096)
        except OSError:  # all is read
            break
        if not part:
            break
        said += part
    os.close(terminal)
    return said.decode()


def test_rows_reach_a_file_while_the_terminal_shows_that_the_command_works(tmp_path):
    with (tmp_path / "rows.csv").open("w") as file:
        said = said_by(file)
    assert (tmp_path / "rows.csv").read_text() == "id,text\nq12,by print or not\n"
    assert "sql: waiting for Spark" in said
    assert "q12" not in said
    assert "\x1b[31m" not in said
    assert said.rindex("\x1b[?25h") > said.rindex("\x1b[?25l")  # the cursor is there again


def test_rows_reach_the_terminal_where_both_are_one():
    assert "q12,by print or not" in said_by(None)
