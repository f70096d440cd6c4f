# What a box is: lines KEY=VALUE. It only looks. `pythons` is set before.
say() { printf '%s=%s\n' "$1" "$2"; }
say user "$(id -un)"
say uid "$(id -u)"
say home "${HOME:-/}"
say host "$(uname -n)"
say machine "$(uname -m)"
say now "$(date +%s)"
if ! command -v sudo >/dev/null 2>&1; then say sudo none
elif sudo -n true 2>/dev/null; then say sudo free
else say sudo asks; fi
if [ -d /run/systemd/system ]; then
  say systemd "$(systemctl --version | sed -n '1s/^systemd \([0-9]*\).*/\1/p')"
  if systemctl --user show-environment >/dev/null 2>&1; then say user_systemd yes; fi
fi
say ram_kib "$(sed -n 's/^MemTotal: *\([0-9]*\) kB$/\1/p' /proc/meminfo)"
if [ -r /proc/device-tree/model ]; then say board "$(tr -d '\0' </proc/device-tree/model)"; fi
if [ -e /dev/vcio ]; then say firmware yes; fi
for tool in cat df grep mv sed sha256sum sleep tr wc; do
  command -v "$tool" >/dev/null 2>&1 || say lacks "$tool"
done
for python in $pythons; do
  path=$(command -v "$python" 2>/dev/null) || continue
  "$path" - "$path" <<'END' 2>/dev/null || true
import sys
# An old Python knows no -P, and the home folder may hold a json.py.
sys.path = [one for one in sys.path if one]
import json, platform, struct
try:
    import ensurepip, venv
    has_venv = True
except ImportError:
    has_venv = False
print("python=" + json.dumps({
    "path": sys.argv[1],
    "machine": platform.machine(),
    "pointer_bits": struct.calcsize("P") * 8,
    "version": list(sys.version_info[:3]),
    "libc": list(platform.libc_ver()),
    "has_venv": has_venv,
}))
END
done
