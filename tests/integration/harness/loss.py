"""Paths that lose packets, by what the kernel here has."""

import subprocess

import pytest

# Classic BPF: a random number below |k| drops the packet. The ancillary load is SKF_AD_OFF + SKF_AD_RANDOM of
# <linux/filter.h>; what the program returns is TC_ACT_OK or TC_ACT_SHOT of <linux/pkt_cls.h>.
SKF_AD_RANDOM = 0xFFFFF000 + 56
TC_ACT_OK, TC_ACT_SHOT = 0, 2


def _tc(ns, *arguments):
    return subprocess.run(["nsenter", f"--net={ns.path}", "tc", *arguments], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def lossy(ns, device, share):
    """|device| of |ns| loses this |share| (0 to 1) of what arrives; where the kernel can do neither, the test is skipped."""
    program = f"4,32 0 0 {SKF_AD_RANDOM},53 1 0 {int(share * 2**32)},6 0 0 {TC_ACT_SHOT},6 0 0 {TC_ACT_OK}"
    made = _tc(ns, "qdisc", "add", "dev", device, "clsact")
    if made.returncode == 0:
        made = _tc(ns, "filter", "add", "dev", device, "ingress", "bpf", "da", "bytecode", program)
    if made.returncode == 0:
        return
    # Packets that leave this end instead: the path loses them as well, only in the other direction.
    netem = _tc(ns, "qdisc", "add", "dev", device, "root", "netem", "loss", f"{share * 100:g}%")
    if netem.returncode != 0:
        pytest.skip(f"no means to lose packets: {made.stdout.strip()}; {netem.stdout.strip()}")
