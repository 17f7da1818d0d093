# What this machine has, and what it lacks. Sourced by the scripts beside it, which run at the top of the checkout.
# Nothing here is installed or changed but by `bring_packages` and `bring_uv`.

# uv older than this was never tried; where it is missing or older, the version in locks/uv.txt is brought by pip.
readonly UV_OLDEST="0.8.0"

say() { printf 'belljar: %s\n' "$*" >&2; }
fail() { say "$@"; exit 1; }

# Sets `base_python` to the interpreter that environments are made from, the first one that is new enough.
# It asks each candidate for the interpreter behind it: a pyenv shim works only in some directories, and an activated
# environment may be the very one that is about to be replaced.
find_python() {
    local candidate behind seen=""
    for candidate in ${PYTHON:+"$PYTHON"} python3 python3.14 python3.13 python3.12 python3.11 /usr/bin/python3; do
        behind=$("$candidate" -I -c 'if True:
            import platform, sys
            print(platform.python_version(), getattr(sys, "_base_executable", sys.executable))
            sys.exit(sys.version_info < (3, 11))' 2>/dev/null) && { base_python=${behind#* }; return; }
        [[ -z "$behind" ]] || seen="$behind"
        [[ -z "${PYTHON:-}" ]] || fail "PYTHON=$PYTHON is no Python 3.11 or newer (${behind:-it does not run})."
    done
    base_python=""
    [[ -z "$seen" ]] || fail "Python 3.11 or newer is needed, and this machine has ${seen/ / as }." \
        "Install a newer one, or name it: make setup PYTHON=/path/to/python3"
}

# Sets `uv` to a command that runs and is new enough, or to nothing.
find_uv() {
    local candidate version
    for candidate in uv .tools/uv/bin/uv; do
        # It is run, not only looked up: a shim on PATH may have nothing behind it.
        version=$("$candidate" --version 2>/dev/null) || continue
        version=${version#uv }
        version=${version%% *}
        if printf '%s\n' "$UV_OLDEST" "$version" | sort --check=quiet --version-sort; then
            uv=$candidate
            return
        fi
    done
    uv=""
}

# Prints the Debian packages that set-up needs and this machine lacks.
missing_packages() {
    if [[ -z "$base_python" ]]; then
        echo python3 libseccomp2 ca-certificates
        [[ -n "$uv" ]] || echo python3-venv
        return
    fi
    # Found in the same way as pyseccomp, which compiles the guests' filter, finds it.
    "$base_python" -I -c 'import ctypes.util, sys; sys.exit(ctypes.util.find_library("seccomp") is None)' ||
        echo libseccomp2
    # Debian's pip trusts this file and nothing else.
    [[ -n "${PIP_CERT:-${SSL_CERT_FILE:-}}" || -e /etc/ssl/certs/ca-certificates.crt ]] || echo ca-certificates
    # Debian keeps pip and ensurepip out of python3; either one is enough to bring uv.
    [[ -n "$uv" ]] || "$base_python" -I -c 'import ensurepip' 2>/dev/null ||
        "$base_python" -I -m pip --version >/dev/null 2>&1 ||
        "$base_python" -I -c 'import sys; print("python3.%d-venv" % sys.version_info.minor)'
}

# Installs the packages named as root; as anyone else says the one line that does, and ends.
bring_packages() {
    [[ $# -gt 0 ]] || return 0
    command -v apt-get >/dev/null ||
        fail "this machine lacks what Debian calls: $*. Install the same from your distribution, then run make again."
    if [[ $(id -u) -eq 0 ]]; then
        say "installing Debian packages: $*"
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
        return
    fi
    local update=""
    compgen -G '/var/lib/apt/lists/*_Packages*' >/dev/null || update="sudo apt-get update && "
    say "this machine lacks packages. Install them with the next line, then run make again."
    echo "${update}sudo apt-get install -y $*" >&2
    exit 1
}

# Brings the locked uv into .tools/, by a pip that lives in an environment, or else by the system's with --target:
# Debian's refuses to install anywhere else.
bring_uv() {
    say "bringing uv into .tools/"
    rm -rf .tools/uv
    if "$base_python" -I -c 'import ensurepip' 2>/dev/null; then
        "$base_python" -I -m venv .tools/uv
        .tools/uv/bin/python -m pip install --quiet --require-hashes --requirement locks/uv.txt
    else
        "$base_python" -m pip install --quiet --require-hashes --target .tools/uv --requirement locks/uv.txt
    fi
    find_uv
    [[ -n "$uv" ]] || fail "pip brought uv into .tools/uv, but it does not run there."
}

# Sets `base_python` and `uv`, bringing what is missing, and what both scripts tell uv.
prepare_machine() {
    find_python
    find_uv
    local missing
    missing=$(missing_packages)
    # shellcheck disable=SC2086  # one word a package
    bring_packages $missing
    [[ -n "$base_python" ]] || find_python
    [[ -n "$base_python" ]] || fail "Python 3.11 or newer is needed, and was not found."
    [[ -n "$uv" ]] || bring_uv
    # uv trusts a list of its own unless told to trust what the machine trusts, as pip does; and a Python that it would
    # download is not the machine's.
    export UV_NATIVE_TLS="${UV_NATIVE_TLS:-1}" UV_PYTHON_DOWNLOADS=never
}
