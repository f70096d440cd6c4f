# Sourced by the scripts: the project's own virtual environment in .venv.
#
# pip keeps the caller's own settings (PIP_* variables, pip.conf): nothing here names an index.

say() { printf '\033[1m%s\033[0m\n' "$*"; }
die() { printf '%s\n' "$*" >&2; exit 1; }

find_python() {
  local candidate
  for candidate in "${PYTHON:-}" python3 python3.14 python3.13 python3.12 python3.11; do
    [ -n "$candidate" ] && command -v "$candidate" >/dev/null 2>&1 || continue
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      command -v "$candidate"
      return
    fi
  done
  die "Edgewright needs Python 3.11 or later, and none was found. Install one
(Debian, Ubuntu, Raspberry Pi OS: 'sudo apt install python3 python3-venv'), or set PYTHON=/path/to/python3."
}

# Without an NVIDIA card a CUDA build of torch is gigabytes for nothing: say so while there is
# still time to stop, and how to be offered the CPU build.
warn_of_gpu_packages() {
  command -v nvidia-smi >/dev/null 2>&1 && return
  local pip=".venv/bin/python -m pip" gpu_packages
  gpu_packages=$($pip install --quiet --dry-run --report - -c constraints.txt torch 2>/dev/null \
    | .venv/bin/python -c '
import json, sys
names = [item["metadata"]["name"].lower() for item in json.load(sys.stdin)["install"]]
print(sum(name.startswith(("nvidia", "cuda")) for name in names))') || return 0
  [ "$gpu_packages" -gt 0 ] || return 0
  cat >&2 <<TEXT
pip is about to fetch a CUDA build of torch with $gpu_packages GPU packages, gigabytes in all, and this
machine shows no NVIDIA card. For the CPU build (under 200 MB) press Ctrl-C, take the index address
that pytorch.org names ("Get started", compute platform CPU), and start again with

    PIP_EXTRA_INDEX_URL=THAT_ADDRESS $0

Going on in 15 seconds.
TEXT
  sleep 15
}

# prepare_environment EXTRA: .venv with the project (editable) and one of its extras.
prepare_environment() {
  local extra=$1 python stamp wanted
  python=$(find_python) || exit 1
  wanted="$(cat pyproject.toml constraints.txt | cksum) $(pwd)"
  stamp=".venv/.installed-$extra"
  if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ]; then
    return
  fi
  if [ ! -x .venv/bin/python ] || ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
    say "Making a virtual environment in .venv with $python"
    rm -rf .venv
    "$python" -m venv .venv || die "'$python -m venv' does not work here.
Install it (Debian, Ubuntu, Raspberry Pi OS: 'sudo apt install python3-venv') and run this again."
  fi
  say "Installing edgewright[$extra] into .venv (a few minutes; torch alone is 190 MB)"
  local install=".venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt"
  $install --upgrade pip
  warn_of_gpu_packages
  # The build backend comes pinned like all else, hence no isolated build environment.
  $install hatchling editables
  $install --no-build-isolation -e ".[$extra]" \
    || die "The installation failed; pip's own message stands above."
  printf '%s' "$wanted" > "$stamp"
}
