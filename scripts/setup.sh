# Sourced by demo.sh and test.sh: makes .venv beside the code, or brings it up to date.
# Usage: setup_environment FILE...   installs the named requirements files

setup_environment() {
    local python=${PYTHON:-python3} file
    if [ ! -x .venv/bin/python ]; then
        echo "making a virtual environment in .venv"
        "$python" -m venv .venv || {
            echo "error: cannot make .venv; Debian and Ubuntu need the package python3-venv" >&2
            return 1
        }
    fi
    for file in "$@"; do
        # A copy of each installed file is the stamp: with nothing new, nothing is asked online.
        if ! cmp -s "$file" ".venv/installed-$file"; then
            echo "installing $file (the first time takes some minutes)"
            .venv/bin/python -m pip install --quiet --disable-pip-version-check -r "$file" || return 1
            cp "$file" ".venv/installed-$file"
        fi
    done
}
