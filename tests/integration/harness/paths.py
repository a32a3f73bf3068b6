"""Where the programs under test are: XTCP2_BIN_DIR, else build/bin of this tree."""

import atexit
import functools
import os
import pathlib
import shutil
import sys
import tempfile

SOURCE = pathlib.Path(__file__).resolve().parents[3]
BIN = pathlib.Path(os.environ.get("XTCP2_BIN_DIR", SOURCE / "build" / "bin")).resolve()
BUILD = BIN.parent

DAEMON = BIN / "xtcp2"
CLIENT = BIN / "xtcp2client"
PROTOSET = BUILD / "proto" / "xtcp2.protoset"

# Python code generated from our protos, as any user of them would have it.
sys.path.insert(0, str(BUILD / "python"))

# Loaded into this process alone: the programs under test have it already.
os.environ.pop("LD_PRELOAD", None)


@functools.cache
def prctl():
    """rpc/prctl.c as a library that every user may load, or None where it is not built."""
    library = BUILD / "tests" / "libprctl.so"
    if not library.exists():
        return None
    folder = tempfile.mkdtemp(prefix="xtcp2-prctl-")
    atexit.register(shutil.rmtree, folder)
    os.chmod(folder, 0o755)
    return shutil.copy(library, folder)
