# SPDX-License-Identifier: MIT
# Sourced by tests/run and tests/demo: everything they need, from nothing but a Debian 12.
# A machine that has it all pays a second and no network.

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

say() { printf '\n== %s\n' "$*"; }
die() { printf '%s\n' "$*" >&2; exit 1; }

# To build: compilers, libraries, packaging.
packages_build=(
  git cmake ninja-build g++ ccache pkg-config perl
  default-libmysqlclient-dev libpq-dev libhiredis-dev libboost-program-options-dev libspdlog-dev libsystemd-dev
  libssl-dev libvirt-dev libxml2-dev nlohmann-json3-dev libgtest-dev libgmock-dev
  debhelper dpkg-dev fakeroot lintian clang-format
)
# To run: a guest, its images, real servers, a real guest agent.
packages_run=(
  python3 libvirt-daemon libvirt-clients qemu-system-x86 qemu-utils qemu-guest-agent mmdebstrap e2fsprogs btrfs-progs xfsprogs util-linux
  mariadb-server-core mariadb-client-core postgresql redis-tools openssl procps strace swtpm swtpm-tools zstd
)
# To fuzz: a compiler with libFuzzer.
packages_fuzz=(clang-14 libclang-rt-14-dev)

# Installs what is missing. The servers' own services are neither started nor enabled by it: tests
# start servers of their own, on sockets in temporary directories.
ensure_packages() {
  local missing=() package
  for package in "$@"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q '^install ok installed$' ||
      missing+=("$package")
  done
  [ "${#missing[@]}" -gt 0 ] || return 0
  [ "$(id -u)" -eq 0 ] || die "unable to install '${missing[*]}': not root"
  say "installing: ${missing[*]}"
  local policy=/usr/sbin/policy-rc.d ours=no status=0
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
    ours=yes
  fi
  DEBIAN_FRONTEND=noninteractive apt-get -qq update &&
    DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install "${missing[@]}" \
      >/dev/null || status=$?
  if [ "$ours" = yes ]; then rm -f "$policy"; fi
  if [ -d /run/systemd/system ]; then
    for package in "${missing[@]}"; do
      case $package in
        postgresql) systemctl --quiet disable postgresql.service || true ;;
      esac
    done
  fi
  [ "$status" -eq 0 ] || die "unable to install '${missing[*]}': apt-get ended with status $status"
}
