# SPDX-License-Identifier: Apache-2.0
"""Build backend: setuptools, and CMake from the package index where the system has none that is new enough."""
import re
import shutil
import subprocess

from setuptools import build_meta
from setuptools.build_meta import *  # noqa: F401,F403


def _cmake_is_there() -> bool:
    program = shutil.which("cmake")
    if program is None:
        return False
    text = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"(\d+)\.(\d+)", text)
    return found is not None and (int(found[1]), int(found[2])) >= (3, 25)


def get_requires_for_build_wheel(config_settings=None):
    needed = [] if _cmake_is_there() else ["cmake>=3.25"]
    return build_meta.get_requires_for_build_wheel(config_settings) + needed


get_requires_for_build_editable = get_requires_for_build_wheel
