# SPDX-License-Identifier: Apache-2.0
"""docs/recipe.md holds exactly the table that `ledge train --keys` prints.

usage: recipe_doc_test.py LEDGE docs/recipe.md
"""
import subprocess
import sys

table = subprocess.run([sys.argv[1], "train", "--keys"], capture_output=True, text=True, check=True).stdout
if table.count("\n") < 40:
    sys.exit("the table is suspiciously short")
if table not in open(sys.argv[2], encoding="utf-8").read():
    sys.exit(f"{sys.argv[2]} does not hold the table of `ledge train --keys`: paste it again")
