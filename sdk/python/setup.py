# SPDX-License-Identifier: Apache-2.0
"""Build libledge.so from the checkout that this folder stands in and put it into the wheel.

The wheel serves every Python 3 of its platform: the library is reached by ctypes and knows nothing of Python.
"""
import os
import pathlib
import re
import shutil
import subprocess

from setuptools import Distribution, setup
from setuptools.command.build_py import build_py

try:
    from setuptools.command.bdist_wheel import bdist_wheel
except ImportError:
    from wheel.bdist_wheel import bdist_wheel

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BUILD = ROOT / "build/python"


def version() -> str:
    header = ROOT / "include/ledge/version.h"
    if not header.exists():
        raise SystemExit("ledge: the C sources are not here; build the wheel in a checkout of the whole project")
    return re.search(r'LEDGE_VERSION_STRING "([^"]+)"', header.read_text())[1]


def build_library() -> pathlib.Path:
    generator = ["-G", "Ninja"] if shutil.which("ninja") and not (BUILD / "Makefile").exists() else []
    subprocess.run(["cmake", "-S", ROOT, "-B", BUILD, *generator, "-DLEDGE_LIBRARY_ONLY=ON", "-DLEDGE_RELR=OFF", "-DLEDGE_WERROR=OFF",
                    "-DCMAKE_BUILD_TYPE=Release"], check=True)
    subprocess.run(["cmake", "--build", BUILD, "--target", "libledge", "-j", str(os.cpu_count() or 1)], check=True)
    return (BUILD / "lib/libledge.so").resolve()


class BuildWithLibrary(build_py):
    def run(self):
        super().run()
        folder = HERE / "ledge" if getattr(self, "editable_mode", False) else pathlib.Path(self.build_lib, "ledge")
        folder.mkdir(parents=True, exist_ok=True)
        target = folder / "libledge.so"
        shutil.copyfile(build_library(), target)
        if shutil.which("strip"):
            subprocess.run(["strip", "--strip-unneeded", target], check=True)


class PlatformDistribution(Distribution):
    def has_ext_modules(self):
        return True  # it is for one platform, though Python's own headers are not used


class PlatformWheel(bdist_wheel):
    def get_tag(self):
        return "py3", "none", super().get_tag()[2]


setup(version=version(), distclass=PlatformDistribution,
      cmdclass={"build_py": BuildWithLibrary, "bdist_wheel": PlatformWheel})
