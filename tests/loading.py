"""What a fresh Python has loaded after some code."""

import subprocess
import sys


def loaded_after(code, names):
    """Those of the modules that are loaded, as Python prints a list."""
    asked = f"import sys\n{code}\nprint([m for m in {names!r} if m in sys.modules])"
    command = [sys.executable, "-c", asked]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
