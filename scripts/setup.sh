#!/bin/sh
# Makes .venv with the pinned stack and the project in it (editable). Does nothing where that is already done.
#
#   PYTHON=<name or path>   the Python to make .venv from
#   GPU=1                   adds TensorFlow's CUDA wheels
set -eu
cd "$(dirname "$0")/.."

say() { printf 'set-up: %s\n' "$*"; }
stop() { printf 'set-up: %s\n' "$*" >&2; exit 1; }

kind=cpu lock=requirements.lock need_gb=8 fetch_gb=1
if [ "${GPU:-0}" = 1 ]; then kind=gpu lock=requirements-gpu.lock need_gb=16 fetch_gb=4; fi

stamp=.venv/setup-stamp
wanted="$(cat requirements.lock requirements-gpu.lock pyproject.toml | cksum) $(pwd -P)"
if [ -x .venv/bin/python ]; then
    case "$(cat "$stamp" 2>/dev/null)" in "$kind $wanted" | "gpu $wanted") exit 0 ;; esac
fi

platform=$(uname -sm)
case "$platform" in
    "Linux x86_64" | "Linux aarch64" | "Darwin arm64") ;;
    *) stop "TensorFlow 2.20 has no packages for $platform; use Linux (x86-64, aarch64), macOS on Apple silicon, or WSL 2 on Windows" ;;
esac
[ "$kind" = cpu ] || [ "$platform" = "Linux x86_64" ] || stop "TensorFlow's CUDA wheels exist for Linux x86-64 only; leave out GPU=1"

fits='import sys; sys.exit(not ((3, 10) <= sys.version_info < (3, 14) and sys.maxsize > 2**32))'
if ! .venv/bin/python -c "$fits" 2>/dev/null; then
    if [ -n "${PYTHON:-}" ]; then set -- "$PYTHON"; else set -- python3.12 python3.11 python3 python3.13 python3.10 python; fi
    python='' without_venv=''
    for candidate; do
        "$candidate" -c "$fits" 2>/dev/null || continue # other versions, and pyenv names with nothing behind them
        if "$candidate" -c 'import ensurepip, venv' 2>/dev/null; then python=$candidate && break; fi
        without_venv=${without_venv:-$candidate}
    done
    if [ -z "$python" ] && [ -n "$without_venv" ]; then
        version=$("$without_venv" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
        stop "Python $version ($without_venv) lacks its venv module; install it (Debian, Ubuntu: sudo apt install python$version-venv) or name another Python with PYTHON=<path>"
    fi
    [ -n "$python" ] || [ -z "${PYTHON:-}" ] || stop "PYTHON=$PYTHON is no working Python 3.10, 3.11, 3.12 or 3.13"
    [ -n "$python" ] || stop "no Python 3.10, 3.11, 3.12 or 3.13 found; install one (Debian, Ubuntu: sudo apt install python3 python3-venv; macOS: brew install python@3.12) or name one with PYTHON=<path>"
    free_gb=$(df -Pk . | awk 'NR == 2 { print int($4 / 1048576) }')
    [ "$free_gb" -ge "$need_gb" ] || stop "$free_gb GB are free on the disk of $(pwd -P); the packages need $need_gb GB, so free some or move the checkout"
    say "making .venv with $("$python" -V 2>&1) ($(command -v "$python"))"
    "$python" -m venv --clear .venv || stop ".venv could not be made; see the lines above"
fi

rm -f "$stamp"
venv_pip() { .venv/bin/python -m pip --disable-pip-version-check "$@"; }
venv_pip --version >/dev/null 2>&1 || .venv/bin/python -m ensurepip >/dev/null 2>&1 || true # uv makes a .venv without pip
if [ ! -x .venv/bin/uv ]; then
    uv=$(sed -n 's/^\(uv==[^ ;]*\).*/\1/p' "$lock")
    say "fetching $uv, which installs the rest in a fraction of pip's time"
    venv_pip install --quiet --only-binary :all: "$uv" || say "no uv to be had here; pip takes over and needs some minutes more"
fi

if [ -t 2 ]; then quiet=''; else quiet=--quiet; fi
install() {
    if [ -x .venv/bin/uv ]; then
        .venv/bin/uv pip install $quiet --python .venv/bin/python "$@" && return
        say "uv could not; trying pip"
    fi
    venv_pip install $quiet "$@" || stop "the packages could not be installed (the reason stands above); without a network, point PIP_INDEX_URL and UV_DEFAULT_INDEX at a mirror"
}
say "installing the $(grep -c == "$lock") pins of $lock ($fetch_gb GB to fetch where no cache has it, some minutes)"
install -r "$lock"
install --no-deps --no-build-isolation -e .
printf '%s %s\n' "$kind" "$wanted" >"$stamp"
say "done"
