#!/bin/bash
# Bootstrap action of EMR 7: the package in /opt/semdedup, on each node.
#   bootstrap.sh s3://bucket/semdedup/wheels/ text,report
# The first word is a folder with one wheel, the second names extras. Of the Pythons there,
# python3 is 3.9 and too old. Spark and Delta are EMR's own: never the extra `spark`.
set -euo pipefail

wheels=$1
extras=${2:-}

sudo dnf install --assumeyes python3.11 python3.11-pip
sudo python3.11 -m venv /opt/semdedup

folder=$(mktemp --directory)
chmod 755 "$folder"
aws s3 cp --recursive "$wheels" "$folder"
wheel=$(echo "$folder"/*.whl)
sudo /opt/semdedup/bin/python -m pip install --no-cache-dir "$wheel${extras:+[$extras]}"
