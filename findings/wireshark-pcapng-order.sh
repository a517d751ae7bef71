#!/usr/bin/env bash
# Wireshark's own tools refuse valid pcapng files by the order of their blocks. The format
# (draft-ietf-opsawg-pcapng) lets a Name Resolution Block stand before the first Interface Description Block,
# and interfaces be described after packets of others.
#
# Seen with wireshark-common 4.0.17-0+deb12u3 (Debian 12, x86-64):
#   names before the first interface: tshark reads the file; editcap, mergecap and reordercap refuse it:
#       'can't be written as a "pcapng" file'.
#   a second interface after a packet: tshark, editcap and mergecap take the file; reordercap exits with 1,
#       'An internal error occurred while writing record 2'.
# Guestnet's captures have names after the first interface for this reason; captures of several links are for
# editcap and mergecap (tests/unit/journal/test_capture.py has what they must take).
#
# Needs Debian 12's package lists (apt-get update). Prints "as stated" and exits with 0 while this holds.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

version=4.0.17-0+deb12u3
apt-get -q download "wireshark-common=$version" "tshark=$version" "libwireshark16=$version" \
    "libwiretap13=$version" "libwsutil14=$version" >/dev/null 2>&1
for package in *.deb; do dpkg-deb -x "$package" root; done
export LD_LIBRARY_PATH=$folder/root/usr/lib/x86_64-linux-gnu
export HOME=$folder
tools=$folder/root/usr/bin

python3 - <<'PYTHON'
import struct

def block(kind, body):
    body += bytes(-len(body) % 4)
    size = struct.pack("<I", len(body) + 12)
    return struct.pack("<I", kind) + size + body + size

section = block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))
interface = block(1, struct.pack("<HHI", 1, 0, 0))
name = bytes([192, 0, 2, 1]) + b"www.example\0"
names = block(4, struct.pack("<HH", 1, len(name)) + name + bytes(-len(name) % 4) + bytes(4))

def packet(number):
    frame = bytes(12) + b"\x88\xb5" + bytes(46)
    return block(6, struct.pack("<IIIII", number, 0, number, len(frame), len(frame)) + frame)

with open("names-first.pcapng", "wb") as file:
    file.write(section + names + interface + packet(0))
with open("interface-later.pcapng", "wb") as file:
    file.write(section + interface + packet(0) + interface + packet(1))
PYTHON

# expect STATUS WORDS COMMAND…: it exits so, and says so (nothing in particular when WORDS is empty).
expect() {
    local status=$1 words=$2 got=0
    shift 2
    "$@" >said 2>&1 || got=$?
    if [ "$got" -ne "$status" ] || { [ -n "$words" ] && ! grep -qF -- "$words" said; }; then
        printf 'not as stated: %s exits with %s\n' "${*##*/}" "$got"
        cat said
        exit 1
    fi
}

for file in names-first interface-later; do
    expect 0 "" "$tools/tshark" -n -r "$file.pcapng"
done
refused="can't be written as a \"pcapng\" file"
expect 2 "$refused" "$tools/editcap" names-first.pcapng out
expect 2 "$refused" "$tools/mergecap" -w out names-first.pcapng
expect 1 "$refused" "$tools/reordercap" names-first.pcapng out
expect 0 "" "$tools/editcap" interface-later.pcapng out
expect 0 "" "$tools/mergecap" -w out interface-later.pcapng
expect 1 "An internal error occurred while writing record 2" "$tools/reordercap" interface-later.pcapng out
echo "as stated"
