"""``python -m semdedup_spark``: the same as ``semdedup``.

``spark-submit`` takes this file by its path, which ``semdedup config --entry`` prints.
"""

import sys
from pathlib import Path

if not __package__:
    # By its path Python looks in this folder first, where `torch` and `datasets` are ours.
    own = Path(__file__).resolve().parent
    sys.path = [folder for folder in sys.path if Path(folder).resolve() != own]

from semdedup_spark.cli import main

if __name__ == "__main__":
    main()
