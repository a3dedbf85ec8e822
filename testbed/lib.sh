# Shared by the testbed's programs and scripts/setup. Sourced, never run.
# shellcheck shell=bash

DEBIAN_MIRROR=${DEBIAN_MIRROR:-}

say() { echo "testbed: $*" >&2; }

# as_root COMMAND…: as root already, or through sudo.
as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# Prints the Debian mirror that this machine uses, else Debian's own.
debian_mirror() {
  [ -z "$DEBIAN_MIRROR" ] || { echo "$DEBIAN_MIRROR"; return; }
  local own
  # shellcheck disable=SC2016 # apt fills in $(REPO_URI)
  own=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 2>/dev/null |
    grep -v -e security -e snapshot | head -n1)
  echo "${own:-http://deb.debian.org/debian}"
}

# install_packages NAME…: from the sources that apt knows.
install_packages() {
  local log
  log=$(mktemp)
  as_root apt-get -qq update >"$log" 2>&1 || true   # one dead source must not stop the others
  if ! as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get -qq install -y --no-install-recommends "$@" >>"$log" 2>&1; then
    tail -n20 "$log" >&2
    rm -f "$log"
    say "these packages did not install: $*"
    return 1
  fi
  rm -f "$log"
}

# major_available PACKAGE: the major version that apt would install; 0 if none.
major_available() {
  local version
  version=$(apt-cache policy "$1" 2>/dev/null | sed -n 's/^ *Candidate: //p')
  version=${version#*:}
  version=${version%%[!0-9]*}
  echo "${version:-0}"
}

# has_package NAME: whether apt could install it.
has_package() { apt-cache policy "$1" 2>/dev/null | grep -q '^ *Candidate: [^(]'; }
