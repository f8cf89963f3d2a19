#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Engines held to an instruction set below the processor's: how their processes are started, and the proof that they obey.

Usage: hold.py COPY FOLDER     copy a tree of packages; UD2 stands where its libraries have CPUID (bench/peers/run does so itself)

hold_cpu.c answers for CPUID. Processors that let it fault need no more; for the others, every CPUID of the engines' libraries becomes UD2 in a
copy of the packages, linked where a file has none: nothing is patched at run time, and static constructors are held, too. Two bytes alone may
be a piece of another instruction, so a disassembler says where CPUID stands. Python's and numpy's own libraries are left alone: they
compute nothing that is timed, and whoever asks leaf 7 is an engine then.
"""
import collections
import os
import pathlib
import re
import shutil
import struct
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
RUNGS = ("avx2", "avxvnni")
CPUID, UD2 = b"\x0f\xa2", b"\x0f\x0b"
SLOT, MOST_SAMPLES = 16, 1 << 14  # bytes kept of a sampled instruction, and how many, as in hold_cpu.c
NOT_ENGINES = re.compile(r"numpy|charset_normalizer|google")
# libc chose its loops before anybody can answer for CPUID; it can be told.
LIBC = "glibc.cpu.hwcaps=" + ",".join(f"-AVX512{part}" for part in ("F", "VL", "BW", "CD", "DQ"))


def can_fault():
    return "cpuid_fault" in pathlib.Path("/proc/cpuinfo").read_text().split()


def segments(image):
    """(file offset, address, bytes) of what an ELF64 file maps executable."""
    table, = struct.unpack_from("<Q", image, 32)
    size, count = struct.unpack_from("<HH", image, 54)
    for at in range(table, table + size * count, size):
        kind, flags, offset, address, _, length = struct.unpack_from("<IIQQQQ", image, at)
        if kind == 1 and flags & 1:
            yield offset, address, length


def find_cpuid(path, image):
    """File offsets of the instruction."""
    listing = subprocess.run(["objdump", "-d", "--no-show-raw-insn", path], capture_output=True, text=True, check=True).stdout
    found = []
    for address in (int(a, 16) for a in re.findall(r"^ *([0-9a-f]+):\tcpuid\b", listing, re.M)):
        offset = next(address - start + at for at, start, length in segments(image) if start <= address < start + length)
        if image[offset:offset + 2] != CPUID:
            raise ValueError(f"{path}: no CPUID at {offset:#x}")
        found.append(offset)
    return found


def patch(path):
    """UD2 for CPUID in a file of its own, so that links to the old one stay whole. Returns how many."""
    image = bytearray(path.read_bytes())
    found = find_cpuid(path, image) if image[:5] == b"\x7fELF\x02" and CPUID in image else []
    for offset in found:
        image[offset:offset + 2] = UD2
    if found:
        fresh = path.with_suffix(".patched")
        fresh.write_bytes(image)
        shutil.copymode(path, fresh)
        os.replace(fresh, path)
    return len(found)


def copy_held(packages, held):
    fresh = held.with_suffix(".new")
    for old in (fresh, held):
        shutil.rmtree(old, ignore_errors=True)
    shutil.copytree(packages, fresh, copy_function=os.link)
    patched = {str(path.relative_to(fresh)): patch(path) for path in sorted(fresh.rglob("*.so*"))
               if not NOT_ENGINES.match(str(path.relative_to(fresh)))}
    os.replace(fresh, held)
    return {name: count for name, count in patched.items() if count}


def build(folder):
    library = folder / "hold_cpu.so"
    subprocess.run([shutil.which("cc"), "-O2", "-shared", "-fPIC", "-o", library, HERE / "hold_cpu.c", "-lrt"], check=True)
    return library


def environment(rung, work, packages, pins):
    """What a worker's environment has more; makes the library, and where it takes one the copy, that are missing."""
    held = work / "held"
    extra = {"LEDGE_CPU": rung, "HOLD_CPU": rung, "LD_PRELOAD": str(build(work)), "GLIBC_TUNABLES": LIBC}
    if not can_fault():
        made = held / "pins"
        if not made.exists() or made.read_text() != pins:
            print("bench/peers/run: copies the engines without their CPUID", flush=True)
            copy_held(packages, held)
            made.write_text(pins)
        extra["PYTHONPATH"] = str(held)
    return extra


# -- the proof: what the sampled bytes are


def decode(samples, scratch):
    """How often which instruction, from so many times SLOT bytes: a counter of (text, whether its encoding is AVX-512's)."""
    filled = b"".join(samples[at:at + SLOT] + b"\x90" * SLOT for at in range(0, len(samples), SLOT))  # so that each is decoded anew
    scratch.write_bytes(filled)
    listing = subprocess.run(["objdump", "-D", "-b", "binary", "-m", "i386:x86-64", "--no-show-raw-insn", scratch],
                             capture_output=True, text=True, check=True).stdout
    scratch.unlink()
    found = collections.Counter()
    for address, text in re.findall(r"^ *([0-9a-f]+):\t(.*)", listing, re.M):
        at = int(address, 16)
        if at % (2 * SLOT) == 0:
            found[text.strip(), filled[at:at + 1] == b"\x62"] += 1
    return found


def beyond(text, evex, rung):
    """Is an instruction above the rung? 0x62 begins AVX-512's, and nothing else in 64 bits."""
    if evex or re.search(r"%zmm|%k[0-7]|%tmm", text):
        return True
    vnni = re.search(r"\bvpdp[bw]", text) is not None
    exact = re.search(r"\bvpdp(busd|wssd)s?\b", text) is not None
    return vnni and not (rung == "avxvnni" and exact) or "vpmadd52" in text


def kinds(found, rung):
    """Shares of what was executed: {"beyond": share, "instructions": {"vpmaddubsw ymm": share}}, products first of interest."""
    total = sum(found.values())
    names = collections.Counter()
    for (text, _), count in found.items():
        width = re.search(r"%([xyz]mm)", text)
        names[" ".join(filter(None, [text.split()[0] if not text.startswith("{") else text.split()[1], width and width[1]]))] += count
    above = sum(count for (text, evex), count in found.items() if beyond(text, evex, rung))
    return {"samples": total, "beyond": above / max(1, total), "instructions": {name: count / total for name, count in names.most_common(12)}}


if __name__ == "__main__":
    for name, count in copy_held(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])).items():
        print(f"{name}: {count}")
