"""Where the programs under test are: XTCP2_BIN_DIR, else build/bin of this tree."""

import os
import pathlib
import sys

SOURCE = pathlib.Path(__file__).resolve().parents[3]
BIN = pathlib.Path(os.environ.get("XTCP2_BIN_DIR", SOURCE / "build" / "bin")).resolve()
BUILD = BIN.parent

DAEMON = BIN / "xtcp2"
CLIENT = BIN / "xtcp2client"
PROTOSET = BUILD / "proto" / "xtcp2.protoset"

# Python code generated from our protos, as any user of them would have it.
sys.path.insert(0, str(BUILD / "python"))
